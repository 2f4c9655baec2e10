----------------------------- MODULE TurnsTrace -----------------------------
(* Replays the turns of one actor in one run of the simulator against KelpieTurns, as Trace.tla does *)
(* for KelpieCluster: there is one behaviour, as long as the trace. `kelpie-sim run --turns-tla`     *)
(* writes the module TurnsData; scripts/spec --turns-traces runs the replay.                         *)
(*                                                                                                   *)
(* A line:                                                                                           *)
(*   i number, a action, t true time in ms (of a turn, when it began), g generation, x request, n number of a commit or of the  *)
(*   head row, own, hor own time and horizon of the node or of the row, age of the request as the    *)
(*   node counts it, so the longest that a socket held an attempt of it, o outcome of a turn,        *)
(*   y whether the request is remembered,                                                            *)
(*   s pairs: at Commit the requests that wait in the mailbox, with their ages; at Land, Forget and  *)
(*   Strike those whose rows come (1) and go (0).                                                    *)
EXTENDS KelpieTurns, TurnsData, Sequences, TLC

VARIABLE at     \* the line to come

TraceDrift == 1             \* percent: a clock at the bound of drift
TraceMaxAge == 24 * 3600 * 1000
Line == Trace[at]

Says(l, what, ok) == IF ok THEN TRUE ELSE PrintT(<<"line", l.i, l.a, "differs in", what>>) /\ FALSE

-----------------------------------------------------------------------------
(* Clocks. A node's own time is what its clock says, and a request's age is as its holders count it. *)
(* Both are taken from the line, and must be what they are to be: own time goes on as true time does, *)
(* within the bound of drift; an age reaches back to the first attempt, and is raised while it waits. *)

Near(a, b, over) == LET slack == (over * TraceDrift) \div 100 + 2 IN a - b <= slack /\ b - a <= slack
TraceOwn(g) == Line.own
OwnIs(l) == Says(l, "own time", Near(l.own, act[l.g].off + l.t, l.t - act[l.g].start))

Waiting(l) == {p[1] : p \in l.s}
AgeOf(l, i) == CHOOSE a \in {p[2] : p \in {q \in l.s : q[1] = i}} : TRUE
TraceAge(b) == IF Line.a = "Commit" THEN IF b.id \in Waiting(Line) THEN AgeOf(Line, b.id) ELSE TraceMaxAge
               ELSE Line.age
AgeIs(l, i, age) == Says(l, "age", first[i] >= 0 => Reach(age) >= l.t - first[i])
\* Of what was held, all but what the socket held is in the age.
Counted(l, i) == Says(l, "age on the way", first[i] >= 0 => l.age + l.age \div 100 + l.so + 2 >= l.t - first[i])
\* It was b.age when it came.
Raised(l, b, age) == Says(l, "age in the mailbox", Near(age, b.age + l.t - b.arr, l.t - b.arr))

-----------------------------------------------------------------------------
(* Steps that are less, or other, than those of the module. *)

\* A client's first attempt. Its repeats, and those of nodes, are in the ages with which they come.
First(i) == /\ first[i] = -1 /\ first' = [first EXCEPT ![i] = now]
            /\ UNCHANGED <<now, store, act, air, landed, socket, box, count, messages, nudged, erased, watch,
                           wronged, early>>
\* Place, in two steps: the row is written, the activation begins when its node has read it.
Grant(g) == /\ ~placed /\ g = gen + 1 /\ gen' = g /\ placed' = TRUE
            /\ UNCHANGED <<now, head, mem, inbox, act, air, landed, requests, count, messages, nudged, erased,
                           watch, wronged, early>>
\* One that has been replaced meanwhile begins all the same; nothing of it lands.
Load(l) == /\ l.g <= gen /\ ~act[l.g].alive /\ ~\E c \in air : c.g = l.g
           /\ Begin(l.g, l.own)
           /\ l.g = gen => /\ placed
                           /\ Says(l, "head row", l.n = head.n /\ (head.n = 0 \/ l.hor = head.hor))
                           /\ Says(l, "own time", IF head.n = 0 THEN l.own >= D ELSE Near(l.own, head.own, 0) \/ l.own >= head.own)
           /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch, wronged,
                          early>>
\* In an orderly way: nothing is under way, or waits to be.
Stop(g) == /\ act[g].alive /\ ~Flying(g) /\ act[g].next = {} /\ End(g)
           /\ UNCHANGED <<now, store, air, landed, socket, first, count, messages, nudged, erased, watch,
                          wronged, early>>
\* A stale activation may be told what was true before it was replaced.
Looks(l, b) == /\ Says(l, "remembered", l.y = Remembered(b.id) \/ l.g # gen \/ ~placed)
               /\ Found(b, l.y)
\* Nobody waits for it any more, or there is no room.
Drop(b) == /\ box' = box \ {b}
           /\ UNCHANGED <<now, store, act, air, landed, socket, first, count, messages, nudged, erased, watch,
                          wronged, early>>
\* A horizon moves by whole buckets: as far as it may, or less.
CommitBy(l) == /\ Says(l, "number", l.n = act[l.g].known + 1)
               /\ Says(l, "horizon", act[l.g].hor <= l.hor /\ l.hor <= Follow(l.g))
               /\ Says(l, "mailbox", \A b \in box : b.g = l.g => b.id \in Waiting(l))
               /\ \A b \in box : b.g = l.g => AgeIs(l, b.id, AgeOf(l, b.id)) /\ Raised(l, b, AgeOf(l, b.id))
               /\ CommitTo(l.g, l.hor)
Comes(l) == {p[1] : p \in {q \in l.s : q[2] = 1}}
Goes(l)  == {p[1] : p \in {q \in l.s : q[2] = 0}}
RowsAre(l) == /\ Says(l, "head row", head'.n = l.n /\ head'.own = l.own /\ head'.hor = l.hor)
              /\ Says(l, "rows that go", {e.id : e \in mem \ mem'} = Goes(l))
LandBy(l, c) == /\ Says(l, "fence", Fits(c))
                /\ Land(c)
                /\ Says(l, "requests", {i.id : i \in Of(c, {"request"})} = Comes(l))
                /\ RowsAre(l)

\* What was refused for another's sake may have landed before that one's.
RefuseBy(l) == IF l.y /\ landed[l.g] = l.n THEN UNCHANGED vars
               ELSE \E c \in air : c.g = l.g /\ c.n = l.n /\ Refuse(c)
\* Look stands where the sweeper can have seen it so first. What it says to have waited is no longer.
ForgetBy(l) == LET waited == IF l.own > head.own THEN l.own - l.hor + 1 ELSE 0
               IN  /\ Says(l, "waited", waited <= now - watch.since + 2 \/ Near(waited, now - watch.since, waited))
                   /\ Forget(l.hor, waited) /\ RowsAre(l)
\* Where nothing was ever committed, nothing is remembered, and nobody need wait.
StrikeBy(l) == IF head.n = 0 THEN UNCHANGED vars
               ELSE Strike /\ Says(l, "rows that go", {e.id : e \in mem \ mem'} = Goes(l))

-----------------------------------------------------------------------------
Boxed(l, Does(_)) == \E b \in box : b.g = l.g /\ b.id = l.x /\ Does(b)

StepOf(l) ==
    CASE l.a = "Tick"    -> Pass(l.t)
      [] l.a = "Send"    -> First(l.x)
      [] l.a = "Grant"   -> Grant(l.g)
      [] l.a = "Void"    -> Void
      [] l.a = "Begin"   -> Load(l)
      [] l.a = "Stop"    -> Stop(l.g)
      [] l.a = "End"     -> Die(l.g)
      [] l.a = "Arrive"  -> OwnIs(l) /\ AgeIs(l, l.x, l.age) /\ Counted(l, l.x) /\ Come(l.x, l.age, l.g) /\ UNCHANGED socket
      [] l.a = "Find"    -> Boxed(l, LAMBDA b : Looks(l, b))
      [] l.a = "Drop"    -> Boxed(l, Drop)
      [] l.a = "TooLate" -> OwnIs(l) /\ Boxed(l, LAMBDA b : Says(l, "too late", ~IsNew(b)) /\ Turn(b, "write"))
      [] l.a = "Erase"   -> Erase(l.g)
      [] l.a = "Turn"    -> OwnIs(l) /\ Boxed(l, LAMBDA b : Raised(l, b, l.age) /\ Says(l, "new", IsNew(b))
                                                            /\ Turn(b, l.o))
      [] l.a = "Commit"  -> OwnIs(l) /\ CommitBy(l)
      [] l.a = "Land"    -> \E c \in air : c.g = l.g /\ c.n = l.n /\ LandBy(l, c)
      [] l.a = "Refuse"  -> RefuseBy(l)
      [] l.a = "Learn"   -> /\ Says(l, "landed", landed[l.g] = l.n) /\ Learn(l.g)
      [] l.a = "Reply"   -> \E r \in act[l.g].gate : r.id = l.x /\ Reply(l.g, r)
      [] l.a = "Look"    -> IF gen > 0 THEN Look ELSE UNCHANGED vars
      [] l.a = "Forget"  -> ForgetBy(l)
      [] l.a = "Strike"  -> StrikeBy(l)

TraceInit == Init /\ at = 1
TraceNext == at <= Len(Trace) /\ at' = at + 1 /\ StepOf(Line)
TraceSpec == TraceInit /\ [][TraceNext]_<<vars, at>>

-----------------------------------------------------------------------------
\* Each line was a step. Else: at which one the specification does not follow.
Done ==
    LET i == TLCGet("stats").diameter IN
    IF i = Len(Trace) + 1 THEN PrintT(<<"conforms", Len(Trace)>>)
    ELSE PrintT(<<"stuck at line", i, Trace[i].a, Trace[i].g, Trace[i].x, Trace[i].n, Trace[i].o>>) /\ FALSE
=============================================================================

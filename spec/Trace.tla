------------------------------- MODULE Trace -------------------------------
(* Replays the steps of one run of the simulator against KelpieCluster: each   *)
(* line of the trace names an action and the state after it; the action must   *)
(* be allowed in the state that the lines before it led to, and must lead to   *)
(* that state. There is one behaviour, as long as the trace.                   *)
(* `kelpie-sim run --trace-tla` writes the module TraceData; scripts/spec      *)
(* --traces runs the replay.                                                   *)
(*                                                                             *)
(* A line:                                                                     *)
(*   i number, a action, n m nodes, x actor, k incarnation or generation,      *)
(*   w the nodes that n counts as reached;                                     *)
(*   v <<number, members>> of the stored view, p <<node, inc, term>>,          *)
(*   pl <<node, inc, gen>> of each actor,                                      *)
(*   ty of each node, whether its present life hosts the type;                 *)
(*   s <<state, inc, ack, gone>> of each node's rows,                          *)
(*   b what each node's process believes: <<state, inc, view, members, claim,  *)
(*     lease, generation of each actor that it runs or 0>>; <<>> where its     *)
(*     own transaction has landed and it has not heard of it yet.              *)
EXTENDS KelpieCluster, TraceData, Sequences

VARIABLE at     \* the line to come

TraceNodes  == {TraceNodeNames[i] : i \in DOMAIN TraceNodeNames}
TraceActors == {TraceActorNames[i] : i \in DOMAIN TraceActorNames}

\* Whom a node reaches. In the specification that is true or not at the moment of
\* the step; the code goes by answers that are at most a lease old. What the
\* simulated network delivered within that time is in the line.
TraceReached(n) == {m \in InStore(Active) : m = n \/ m \in Trace[at].w}

-----------------------------------------------------------------------------
(* Is the state the one of the line? *)

Is(l, what, ok) == ok \/ (PrintT(<<"line", l.i, l.a, "differs in", what>>) /\ FALSE)

Store(l) ==
    /\ Is(l, "view", view = [num |-> l.v[1], members |-> l.v[2]])
    \* A primary that is not Active in that life is none, and a placement on a life that
    \* is over is void. The code writes that down some time, or not.
    /\ Is(l, "primary",
          /\ primary.term = l.p[3]
          /\ \/ primary.node = l.p[1] /\ (primary.node # None => primary.inc = l.p[2])
             \/ primary.node = None /\ ~(rec[l.p[1]].state = Active /\ rec[l.p[1]].inc = l.p[2]))
    /\ \A i \in DOMAIN TraceActorNames :
        LET q == place[TraceActorNames[i]] IN
        Is(l, <<"place", TraceActorNames[i]>>,
           /\ q.gen = l.pl[i][3]
           /\ \/ q.node = l.pl[i][1] /\ q.inc = l.pl[i][2]
              \/ l.pl[i][1] = None /\ ~Hosting(q.node, q.inc))
    /\ \A i \in DOMAIN TraceNodeNames :
        LET n == TraceNodeNames[i] IN
        Is(l, <<"types", n>>, TYPED => (rec[n].inc > 0 /\ types[n] = rec[n].inc) = l.ty[i])
    \* The code acknowledges a view that it held when it sent the heartbeat: perhaps
    \* not the latest, never a later one.
    /\ \A i \in DOMAIN TraceNodeNames :
        LET n == TraceNodeNames[i] IN
        Is(l, <<"rows", n>>,
           /\ rec[n] = [state |-> l.s[i][1], inc |-> l.s[i][2]]
           /\ gone[n] = l.s[i][4]
           /\ (rec[n].state = Active /\ lease[n]) => l.s[i][3] <= ack[n])

\* A node believes of itself what the specification says, and has no right (lease,
\* claim, running actor) that it does not have there. It may have fewer: it gives
\* its claim up before the transaction that says so.
Believes(l) ==
    \A i \in DOMAIN TraceNodeNames :
        LET n == TraceNodeNames[i]
            b == l.b[i] IN
        b # <<>> =>
            /\ Is(l, <<"me", n>>, me[n].state = b[1] /\ (b[1] # Left => me[n].inc = b[2]))
            /\ b[6] =>
                /\ Is(l, <<"lease", n>>, lease[n])
                /\ Is(l, <<"held view", n>>, b[1] = Active => lview[n] = [num |-> b[3], members |-> b[4]])
                /\ Is(l, <<"claim", n>>, b[5] \in {0, claim[n]})
                /\ Is(l, <<"runs", n>>, \A j \in DOMAIN TraceActorNames :
                        b[6 + j] # 0 => [actor |-> TraceActorNames[j], gen |-> b[6 + j]] \in runs[n])

Agrees(l) == Store(l) /\ Believes(l)

-----------------------------------------------------------------------------
\* The claim alone is given up: before NodeLeave and PrimaryStepDown, whose commit
\* may come later or not at all. It takes a right away and is no action there.
GiveUp(n) ==
    /\ claim[n] > 0
    /\ claim' = [claim EXCEPT ![n] = 0]
    /\ UNCHANGED <<store, me, lview, lease, runs, net, stale>>

\* `forget --force` of a node that is in no view, since it leaves or joins: the code
\* fails it first, as one that is in the view. There it is struck off at once.
ForceFail(n) ==
    /\ rec[n].state \in {Joining, Leaving}
    /\ Held => Silent(primary.node)
    /\ Silent(n)
    /\ Fail(n)
    /\ Vacate(n)
    /\ UNCHANGED <<ack, place, loaded, local, net, stale>>

Move(l) == [from |-> l.n, to |-> l.m, inc |-> IF l.m = None THEN 0 ELSE rec[l.m].inc,
            actor |-> l.x, gen |-> l.k]
Run(l)  == [actor |-> l.x, gen |-> l.k]

Step(l) ==
    CASE l.a = "NodeJoin"          -> NodeJoin(l.n)
      [] l.a = "DieJoining"        -> DieJoining(l.n)
      [] l.a = "CommitJoin"        -> \E j \in joins : j.node = l.n /\ CommitJoin(j)
      [] l.a = "NodeJoinComplete"  -> NodeJoinComplete(l.n)
      [] l.a = "NodeLeave"         -> NodeLeave(l.n)
      [] l.a = "NodeLeaveComplete" -> NodeLeaveComplete(l.n)
      [] l.a = "SendHeartbeat"     -> SendHeartbeat(l.n)
      [] l.a = "SyncViews"         -> SyncViews(l.n)
      [] l.a = "LeaseExpire"       -> LeaseExpire(l.n)
      [] l.a = "Notice"            -> Notice(l.n)
      [] l.a = "Twin"              -> Twin(l.n)
      [] l.a = "TwinExpire"        -> TwinExpire(l.n)
      [] l.a = "NodeCrash"         -> NodeCrash(l.n)
      [] l.a = "MarkNodeFailed"    -> MarkNodeFailed(l.n, l.m)
      [] l.a = "NodeRecover"       -> NodeRecover(l.n)
      [] l.a = "DeclareDead"       -> DeclareDead(l.n, l.k)
      [] l.a = "MarkDeadAll"       -> MarkDeadAll(l.n, l.m)
      [] l.a = "Forget"            -> Forget(l.n, l.m)
      [] l.a = "ForceForget"       -> ForceForget(l.n)
      [] l.a = "ElectPrimary"      -> ElectPrimary(l.n)
      [] l.a = "PrimaryStepDown"   -> PrimaryStepDown(l.n)
      [] l.a = "PlaceActor"        -> PlaceActor(l.n, l.x)
      [] l.a = "Activate"          -> Activate(l.n, l.x)
      [] l.a = "Deactivate"        -> Deactivate(l.n, Run(l))
      [] l.a = "MigrateActor"      -> MigrateActor(l.n, l.m, l.x)
      [] l.a = "ReleaseActor"      -> ReleaseActor(l.n, l.x)
      [] l.a = "CommitMove"        -> \E m \in moves : m = Move(l) /\ CommitMove(m)
      [] l.a = "AbortMove"         -> AbortMove(l.n, l.x)
      [] l.a = "SendWrite"         -> SendWrite(l.n, Run(l))
      [] l.a = "CommitWrite"       -> \E w \in flight : /\ w.node = l.n /\ w.actor = l.x /\ w.gen = l.k
                                                        /\ CommitWrite(w)
      [] l.a = "CutStore"          -> CutStore(l.n)
      [] l.a = "HealStore"         -> HealStore(l.n)
      [] l.a = "CreatePartition"   -> CreatePartition(l.n, l.m)
      [] l.a = "HealPartition"     -> HealPartition(l.n, l.m)
      [] l.a = "GiveUp"            -> GiveUp(l.n)
      [] l.a = "ForceFail"         -> ForceFail(l.n)
AnyStep(l) ==
    CASE l.a = "HostTypes" -> HostTypes(l.n)
      [] l.a = "EndType"   -> EndType(l.n)
      [] OTHER             -> Step(l) /\ UNCHANGED kinds

TraceInit == Init /\ at = 1
TraceNext ==
    /\ at <= Len(Trace)
    /\ at' = at + 1
    /\ \E i \in {at} : AnyStep(Trace[i]) /\ Agrees(Trace[i])'
TraceSpec == TraceInit /\ [][TraceNext]_<<vars, at>>

-----------------------------------------------------------------------------
\* Each line was a step. Else: at which one the specification does not follow.
Done ==
    LET i == TLCGet("stats").diameter IN
    IF i = Len(Trace) + 1 THEN PrintT(<<"conforms", Len(Trace)>>)
    ELSE PrintT(<<"stuck at line", i, Trace[i].a, Trace[i].n, Trace[i].m, Trace[i].x, Trace[i].k>>) /\ FALSE
=============================================================================

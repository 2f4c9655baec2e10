---------------------------- MODULE KelpieCluster ----------------------------
(* The cluster protocol of Kelpie when a strictly serializable store           *)
(* (FoundationDB, or the embedded store) arbitrates.                           *)
(*                                                                             *)
(* Every action that touches the store is ONE transaction: it reads, decides,  *)
(* writes. What a node remembers (its view, its claim to be primary, the       *)
(* actors it runs) is kept apart from what the store says, because the two     *)
(* differ while a node is cut off, paused or slow.                             *)
(*                                                                             *)
(* Time is abstract. A node holds a lease that its heartbeats renew. TIMELY    *)
(* states the one timing assumption: whoever declares a node failed waited     *)
(* longer, on its own monotonic clock, than that node's lease lasts on its     *)
(* own. With TIMELY = FALSE the assumption is broken, and only what the store  *)
(* fences still holds.                                                         *)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS Nodes, Actors, None,
          MaxTerm, MaxView, MaxGen, MaxInc,   \* bounds of the search
          TIMELY,          \* failures are declared only after the lease ran out
          QUORUM,          \* an election counts a majority
          ACKED_LEAVE,     \* Left only when every active node acknowledged it
          FENCED,          \* a commit checks term and generation
          ABORTED,         \* a source resumes only under a new generation
          PROVEN,          \* a past life is failed only when known dead
          MATCHED,         \* DeclareDead fails only the life whose process died
          REWRITTEN,       \* DeclareDead rewrites the node's row in every case
          STEPWISE,        \* ForceForget: old acknowledgements do not count for a view yet to come
          RELEASED,        \* an actor whose release may land is not taken back as it was
          SETTLED,         \* nor is it loaded while a write of its generation may land
          RESIGNED,        \* a stored primary that claims nothing resigns too
          LATE,            \* search also the joins that land after their process died
          TYPED,           \* the type of the actors comes and goes; else every node hosts it
          HOSTED,          \* who places an actor reads what its target hosts
          EMPTIED          \* a type ends only where no placement of it is left

Left    == "Left"
Joining == "Joining"
Active  == "Active"
Leaving == "Leaving"
Failed  == "Failed"

VARIABLES
    rec,        \* store: node -> [state, inc]
    view,       \* store: [num, members]
    primary,    \* store: [node, inc, term]   node = None when vacant
    ack,        \* store: node -> view number its last heartbeat acknowledged
    gone,       \* store: node -> number of the view that dropped it
    place,      \* store: actor -> [node, inc, gen]
    loaded,     \* store: actor -> highest generation that has read its state
    me,         \* node: [state, inc] as the node believes
    lview,      \* node: [num, members] as the node last read
    claim,      \* node: term it believes to be primary of, 0 if none
    lease,      \* node: is its lease running?
    runs,       \* node: set of [actor, gen] it has activated
    cutStore,   \* nodes that cannot reach the store
    cutPeer,    \* unordered pairs of nodes that cannot reach each other
    flight,     \* writes an activation has sent and the store has not seen yet
    moves,      \* hand-overs sent and not yet seen by the store
    twin,       \* what an older process of a node's id, still alive, runs
    joins,      \* joins whose process died before the store saw them
    types,      \* store: node -> the life of it that hosts the type, 0: none
    has,        \* node: its process has the type's class
    stale       \* TRUE once a write landed after a newer activation read the state

store == <<rec, view, primary, ack, gone, place, loaded>>
local == <<me, lview, claim, lease, runs>>
net   == <<cutStore, cutPeer, flight, moves, twin, joins>>
kinds == <<types, has>>
vars  == <<store, local, net, kinds, stale>>

NoView == [num |-> 0, members |-> {}]
Vacant == [node |-> None, inc |-> 0, term |-> 0]

-----------------------------------------------------------------------------
InStore(s)   == {n \in Nodes : rec[n].state = s}
Members      == {n \in Nodes : rec[n].state # Left}
Talk(a, b)   == a = b \/ {a, b} \notin cutPeer
Hosting(n, i) == IF n = None THEN FALSE
                 ELSE rec[n].state \in {Active, Leaving} /\ rec[n].inc = i
Current(n)   == rec[n].inc = me[n].inc /\ rec[n].state = me[n].state

\* Whom a majority is counted among. A failure does not shrink it; leaving and
\* being forgotten do. One that never finished joining does not count, unless it
\* was failed before it did.
Voters       == {n \in Nodes : rec[n].state \in {Active, Leaving, Failed}}
Reached(n)   == {m \in InStore(Active) : Talk(n, m) /\ lease[m]}
Majority(n)  == 2 * Cardinality(Reached(n)) > Cardinality(Voters)

\* the primary record names a node that is still Active in that incarnation
Held == IF primary.node = None THEN FALSE
        ELSE rec[primary.node].state = Active /\ rec[primary.node].inc = primary.inc

\* seen silent for the window: no process of that id acts
Silent(n) == ~lease[n] /\ twin[n] = {}

\* every active node has acknowledged a view without n, or is not acting
Acked(n) == \A m \in InStore(Active) : ack[m] >= gone[n] \/ ~lease[m]

WithOut(n) == [num |-> view.num + 1, members |-> view.members \ {n}]
With(n)    == [num |-> view.num + 1, members |-> view.members \union {n}]
Vacate(n)  == primary' = IF primary.node = n THEN [primary EXCEPT !.node = None] ELSE primary

Init ==
    /\ rec     = [n \in Nodes |-> [state |-> Left, inc |-> 0]]
    /\ view    = NoView
    /\ primary = Vacant
    /\ ack     = [n \in Nodes |-> 0]
    /\ gone    = [n \in Nodes |-> 0]
    /\ place   = [a \in Actors |-> [node |-> None, inc |-> 0, gen |-> 0]]
    /\ loaded  = [a \in Actors |-> 0]
    /\ me      = [n \in Nodes |-> [state |-> Left, inc |-> 0]]
    /\ lview   = [n \in Nodes |-> NoView]
    /\ claim   = [n \in Nodes |-> 0]
    /\ lease   = [n \in Nodes |-> FALSE]
    /\ runs    = [n \in Nodes |-> {}]
    /\ cutStore = {} /\ cutPeer = {} /\ flight = {} /\ moves = {} /\ stale = FALSE
    /\ twin = [n \in Nodes |-> {}] /\ joins = {}
    /\ types = [n \in Nodes |-> 0] /\ has = [n \in Nodes |-> ~TYPED]

-----------------------------------------------------------------------------
(* Membership *)

\* Left -> Joining; a node that finds no member at all founds the cluster. What the
\* store is left with:
JoinRow(n) ==
    /\ rec[n].state = Left /\ rec[n].inc < MaxInc /\ view.num < MaxView
    /\ LET i == rec[n].inc + 1 IN
       IF Members = {} /\ primary.term < MaxTerm
       THEN /\ rec'     = [rec EXCEPT ![n] = [state |-> Active, inc |-> i]]
            /\ view'    = [num |-> view.num + 1, members |-> {n}]
            /\ ack'     = [ack EXCEPT ![n] = view'.num]
            /\ primary' = [node |-> n, inc |-> i, term |-> primary.term + 1]
       ELSE /\ Members # {}
            /\ rec'     = [rec EXCEPT ![n] = [state |-> Joining, inc |-> i]]
            /\ UNCHANGED <<view, ack, primary>>
    /\ joins' = {j \in joins : j.node # n}     \* they read the row that this writes
    /\ UNCHANGED <<gone, place, loaded, cutStore, cutPeer, flight, moves, twin, stale>>

NodeJoin(n) ==
    /\ me[n].state = Left /\ n \notin cutStore
    /\ JoinRow(n)
    /\ me' = [me EXCEPT ![n] = rec'[n]]
    /\ IF rec'[n].state = Active
       THEN /\ lview' = [lview EXCEPT ![n] = view']
            /\ claim' = [claim EXCEPT ![n] = primary'.term]
       ELSE UNCHANGED <<lview, claim>>
    /\ lease' = [lease EXCEPT ![n] = TRUE]
    /\ UNCHANGED runs

\* A process sends its join and dies; the join may land while the next process of
\* that id is already starting. `told`: its supervisor has declared it dead.
DieJoining(n) ==
    /\ LATE /\ me[n].state = Left /\ rec[n].state = Left /\ n \notin cutStore
    /\ \A j \in joins : j.node # n
    /\ joins' = joins \union {[node |-> n, told |-> FALSE]}
    /\ UNCHANGED <<store, local, cutStore, cutPeer, flight, moves, twin, stale>>
CommitJoin(j) == JoinRow(j.node) /\ UNCHANGED local

\* A node completes alone when no node is Active (a cluster that starts again);
\* it becomes primary only by election.
NodeJoinComplete(n) ==
    /\ me[n].state = Joining /\ Current(n) /\ lease[n] /\ n \notin cutStore
    /\ (InStore(Active) = {} \/ Reached(n) # {})
    /\ view.num < MaxView
    /\ rec'   = [rec EXCEPT ![n].state = Active]
    /\ me'    = [me  EXCEPT ![n].state = Active]
    /\ view'  = With(n)
    /\ lview' = [lview EXCEPT ![n] = view']
    /\ ack'   = [ack EXCEPT ![n] = view'.num]
    /\ UNCHANGED <<primary, gone, place, loaded, claim, lease, runs, net, stale>>

\* Active -> Leaving: out of the view, no longer primary, still host of its actors
NodeLeave(n) ==
    /\ me[n].state = Active /\ Current(n) /\ lease[n] /\ n \notin cutStore
    /\ view.num < MaxView
    /\ rec'     = [rec EXCEPT ![n].state = Leaving]
    /\ me'      = [me  EXCEPT ![n].state = Leaving]
    /\ view'    = WithOut(n)
    /\ gone'    = [gone EXCEPT ![n] = view'.num]
    /\ Vacate(n)
    /\ claim'   = [claim EXCEPT ![n] = 0]
    /\ UNCHANGED <<ack, place, loaded, lview, lease, runs, net, stale>>

\* Leaving -> Left: nothing runs here, nothing is placed here, every active node
\* has acknowledged a view without it
NodeLeaveComplete(n) ==
    /\ me[n].state = Leaving /\ Current(n) /\ n \notin cutStore
    /\ runs[n] = {}
    /\ \A a \in Actors : ~(place[a].node = n /\ place[a].inc = rec[n].inc)
    /\ ACKED_LEAVE => Acked(n)
    /\ rec'   = [rec EXCEPT ![n].state = Left]
    /\ me'    = [me  EXCEPT ![n].state = Left]
    /\ lview' = [lview EXCEPT ![n] = NoView]
    /\ lease' = [lease EXCEPT ![n] = FALSE]
    /\ UNCHANGED <<view, primary, ack, gone, place, loaded, claim, runs, net, stale>>

\* The heartbeat transaction renews the lease and acknowledges the view held; one
\* that revives a lapsed lease reads the view again first. A node that finds
\* itself declared failed forgets everything.
SendHeartbeat(n) ==
    /\ me[n].state \in {Joining, Active, Leaving} /\ n \notin cutStore
    /\ IF Current(n)
       THEN /\ lease' = [lease EXCEPT ![n] = TRUE]
            /\ lview' = IF ~lease[n] /\ me[n].state = Active THEN [lview EXCEPT ![n] = view] ELSE lview
            /\ ack'   = [ack EXCEPT ![n] = lview'[n].num]
            /\ UNCHANGED <<me, claim, runs>>
       ELSE /\ me'    = [me EXCEPT ![n] = [state |-> Left, inc |-> rec[n].inc]]
            /\ lview' = [lview EXCEPT ![n] = NoView]
            /\ claim' = [claim EXCEPT ![n] = 0]
            /\ lease' = [lease EXCEPT ![n] = FALSE]
            /\ runs'  = [runs EXCEPT ![n] = {}]
            /\ UNCHANGED ack
    /\ UNCHANGED <<rec, view, primary, gone, place, loaded, net, stale>>

\* The watch on the view fires.
SyncViews(n) ==
    /\ me[n].state = Active /\ Current(n) /\ n \notin cutStore
    /\ lview[n].num < view.num
    /\ lview' = [lview EXCEPT ![n] = view]
    /\ UNCHANGED <<store, me, claim, lease, runs, net, stale>>

\* The lease runs out; the node notices at its next step, and stops acting. In
\* between (a frozen process) it may still hold what it held, and does nothing.
LeaseExpire(n) ==
    /\ lease[n]
    /\ lease' = [lease EXCEPT ![n] = FALSE]
    /\ UNCHANGED <<store, me, lview, claim, runs, net, stale>>

Notice(n) ==
    /\ ~lease[n] /\ (claim[n] > 0 \/ runs[n] # {})
    /\ claim' = [claim EXCEPT ![n] = 0]
    /\ runs'  = [runs EXCEPT ![n] = {}]
    /\ UNCHANGED <<store, me, lview, lease, net, stale>>

\* A second process of the same id starts while the first lives on: a wrong
\* configuration, or only the supervisor died.
Twin(n) ==
    /\ me[n].state # Left /\ lease[n] /\ twin[n] = {} /\ runs[n] # {}
    /\ twin'  = [twin EXCEPT ![n] = runs[n]]
    /\ me'    = [me EXCEPT ![n] = [state |-> Left, inc |-> me[n].inc]]
    /\ lview' = [lview EXCEPT ![n] = NoView]
    /\ claim' = [claim EXCEPT ![n] = 0]
    /\ lease' = [lease EXCEPT ![n] = FALSE]
    /\ runs'  = [runs EXCEPT ![n] = {}]
    /\ UNCHANGED <<store, cutStore, cutPeer, flight, moves, joins, stale>>
TwinExpire(n) == twin[n] # {} /\ twin' = [twin EXCEPT ![n] = {}]
    /\ UNCHANGED <<store, local, cutStore, cutPeer, flight, moves, joins, stale>>

\* The process dies and comes back with nothing in memory.
NodeCrash(n) ==
    /\ me[n].state # Left
    /\ me'    = [me EXCEPT ![n] = [state |-> Left, inc |-> me[n].inc]]
    /\ lview' = [lview EXCEPT ![n] = NoView]
    /\ claim' = [claim EXCEPT ![n] = 0]
    /\ lease' = [lease EXCEPT ![n] = FALSE]
    /\ runs'  = [runs EXCEPT ![n] = {}]
    /\ UNCHANGED <<store, net, stale>>

\* writes shared by the actions that declare a node failed, or strike it off
TakeOut(n, s) ==
    /\ rec'  = [rec EXCEPT ![n].state = s]
    /\ view' = IF n \in view.members THEN WithOut(n) ELSE view
    /\ gone' = IF n \in view.members THEN [gone EXCEPT ![n] = view'.num] ELSE gone
Fail(n)     == TakeOut(n, Failed)
ViewRoom(n) == n \in view.members => view.num < MaxView

\* The primary declares a node failed. FENCED: the transaction checks its term.
MarkNodeFailed(p, n) ==
    /\ p # n /\ claim[p] > 0 /\ lease[p] /\ p \notin cutStore
    /\ FENCED => (primary.node = p /\ primary.term = claim[p] /\ Held)
    /\ rec[n].state \in {Joining, Active, Leaving}
    /\ TIMELY => Silent(n)
    /\ view.num < MaxView
    /\ Fail(n)
    /\ UNCHANGED <<primary, ack, place, loaded, local, net, stale>>

\* Failed -> Left, by the node itself when it comes back, once every active node
\* has acknowledged a view without it
NodeRecover(n) ==
    /\ me[n].state = Left /\ n \notin cutStore
    /\ \/ rec[n].state = Failed
          /\ (ACKED_LEAVE => Acked(n))
          /\ rec' = [rec EXCEPT ![n].state = Left]
          /\ UNCHANGED <<view, gone, primary>>
       \/ \* restarted before anyone noticed: it declares its own past failed,
          \* PROVEN: once it is known dead (waitpid, or silence for a window)
          /\ PROVEN => twin[n] = {}
          /\ rec[n].state \in {Joining, Active, Leaving} /\ view.num < MaxView
          /\ Fail(n)
          /\ Vacate(n)
    /\ UNCHANGED <<ack, place, loaded, local, net, stale>>

\* The supervisor of life i, whose waitpid returned, says so. A boot id is modelled
\* by the incarnation that its process joined with; one that died while its join
\* was under way has the next. A newer life may have begun meanwhile, or have
\* joined: only the life that died is declared (MATCHED). Whatever the row says,
\* it is written again, so that a join of the dead process conflicts (REWRITTEN).
\* Where neither matters the step changes nothing, and is left out.
KnownDead(n, i) ==
    IF i > rec[n].inc THEN \E j \in joins : j.node = n
    ELSE ~(me[n].state # Left /\ me[n].inc = i) /\ ~(twin[n] # {} /\ rec[n].inc = i)
DeclareDead(n, i) ==
    /\ i \in 1..(rec[n].inc + 1) /\ KnownDead(n, i)
    /\ LET hit == (MATCHED => rec[n].inc = i) /\ rec[n].state # Left IN
       /\ hit \/ \E j \in joins : j.node = n
       /\ IF hit THEN ViewRoom(n) /\ Fail(n) /\ Vacate(n)
                 ELSE UNCHANGED <<rec, view, gone, primary>>
    /\ joins' = IF REWRITTEN THEN {j \in joins : j.node # n}
                ELSE {IF j.node = n /\ i > rec[n].inc THEN [j EXCEPT !.told = TRUE] ELSE j : j \in joins}
    /\ UNCHANGED <<ack, place, loaded, local, cutStore, cutPeer, flight, moves, twin, stale>>

\* Nobody who is Active is acting any more: a node that starts may fail them.
MarkDeadAll(n, m) ==
    /\ me[n].state \in {Left, Joining} /\ n \notin cutStore /\ view.num < MaxView
    /\ n # m /\ rec[m].state \in {Active, Leaving}
    /\ \A k \in InStore(Active) : Silent(k)
    /\ Silent(m)
    /\ Fail(m)
    /\ UNCHANGED <<primary, ack, place, loaded, local, net, stale>>

\* The primary, which has a majority, strikes a dead node off.
Forget(p, n) ==
    /\ p # n /\ claim[p] > 0 /\ lease[p] /\ p \notin cutStore
    /\ primary.node = p /\ primary.term = claim[p] /\ Held
    /\ rec[n].state = Failed /\ Acked(n)
    /\ rec' = [rec EXCEPT ![n].state = Left]
    /\ UNCHANGED <<view, primary, ack, gone, place, loaded, local, net, stale>>

\* An operator strikes a node off where no primary can, because too few voters are
\* left to elect one. A node that is in the view is in the views that others hold:
\* there is no acknowledgement of a view without it yet, whatever older numbers say
\* (STEPWISE). So it is failed first and struck off when that is acknowledged; at
\* once only if no Active node acts.
ForceForget(n) ==
    /\ rec[n].state # Left
    /\ Held => Silent(primary.node)
    /\ Silent(n) /\ ViewRoom(n)
    /\ \/ /\ IF STEPWISE /\ n \in view.members
             THEN \A m \in InStore(Active) : Silent(m)
             ELSE Acked(n)
          /\ TakeOut(n, Left)
       \/ /\ n \in view.members
          /\ Fail(n)
    /\ Vacate(n)
    /\ UNCHANGED <<ack, place, loaded, local, net, stale>>

-----------------------------------------------------------------------------
(* Primary *)

\* One transaction: the old primary is gone or is declared failed here, a
\* majority is with the candidate, the term goes up by one. A node that finds
\* itself stored as primary without claiming runs it for a new term.
ElectPrimary(n) ==
    /\ me[n].state = Active /\ Current(n) /\ lease[n] /\ n \notin cutStore
    /\ claim[n] = 0 /\ primary.term < MaxTerm /\ view.num < MaxView
    /\ QUORUM => Majority(n)
    /\ IF Held /\ primary.node # n
       THEN /\ TIMELY => Silent(primary.node)
            /\ Fail(primary.node)
       ELSE UNCHANGED <<rec, view, gone>>
    /\ primary' = [node |-> n, inc |-> me[n].inc, term |-> primary.term + 1]
    /\ claim'   = [claim EXCEPT ![n] = primary'.term]
    /\ UNCHANGED <<ack, place, loaded, me, lview, lease, runs, net, stale>>

\* A primary that no longer reaches a majority resigns, in the store if it can. So
\* does one that the store names and that claims nothing (its lease had lapsed, and
\* no majority is there to elect it again): else the operator's way out, which
\* waits for the primary to be vacant or silent, stays shut while it is alive.
PrimaryStepDown(n) ==
    /\ \/ claim[n] > 0
       \/ RESIGNED /\ me[n].state = Active /\ primary.node = n /\ primary.inc = me[n].inc
    /\ n \notin cutStore
    /\ ~Majority(n)
    /\ primary' = IF primary.node = n /\ (claim[n] = 0 \/ primary.term = claim[n])
                  THEN [primary EXCEPT !.node = None] ELSE primary
    /\ claim'   = [claim EXCEPT ![n] = 0]
    /\ UNCHANGED <<rec, view, ack, gone, place, loaded, me, lview, lease, runs, net, stale>>

-----------------------------------------------------------------------------
(* Actors *)

\* What a node hosts stands in a row of its own, and goes with the life that wrote it. No other
\* action writes it, and only who places an actor reads it: a change of types conflicts with
\* no change of members. (A change that was given up lands before the next one or never, since
\* each try has its own number; so it is one step here.)
Hosts(n) == ~TYPED \/ ~HOSTED \/ types[n] = rec[n].inc
HostTypes(n) ==
    /\ TYPED /\ me[n].state = Active /\ Current(n) /\ lease[n] /\ n \notin cutStore
    /\ IF types[n] = rec[n].inc
       THEN types' = [types EXCEPT ![n] = 0] /\ UNCHANGED has
       ELSE types' = [types EXCEPT ![n] = rec[n].inc] /\ has' = [has EXCEPT ![n] = TRUE]
    /\ UNCHANGED <<store, local, net, stale>>
\* The row is committed without it, its actors are handed over or released: then the class ends. EMPTIED:
\* not before the store lists no placement of it here.
EndType(n) ==
    /\ TYPED /\ has[n] /\ me[n].state \in {Active, Leaving} /\ Current(n) /\ types[n] # me[n].inc
    /\ runs[n] = {}
    /\ EMPTIED => \A a \in Actors : ~(place[a].node = n /\ place[a].inc = me[n].inc)
    /\ has' = [has EXCEPT ![n] = FALSE]
    /\ UNCHANGED <<store, local, net, types, stale>>

\* Any active node asks for a host; the old placement is void once its host is
\* not hosting in that incarnation. Nothing has to be rewritten when a node fails.
PlaceActor(n, a) ==
    /\ rec[n].state = Active /\ Hosts(n) /\ place[a].gen < MaxGen
    /\ ~Hosting(place[a].node, place[a].inc)
    /\ place' = [place EXCEPT ![a] = [node |-> n, inc |-> rec[n].inc, gen |-> @.gen + 1]]
    /\ UNCHANGED <<rec, view, primary, ack, gone, loaded, local, net, stale>>


\* a hand-over of this placement, or its release, may still land
Sent(n, a)       == {m \in moves : m.from = n /\ m.actor = a /\ m.gen = place[a].gen}
HandedOver(n, a) == Sent(n, a) # {}

\* ABORTED, RELEASED: while it may land, the source takes the actor back only by
\* AbortMove. SETTLED: a write outlives the activation that sent it; until it is
\* settled the actor is not loaded again in the same generation, which does not
\* fence it.
Activate(n, a) ==
    /\ me[n].state \in {Active, Leaving} /\ lease[n] /\ n \notin cutStore
    /\ Current(n) /\ has[n]
    /\ place[a].node = n /\ place[a].inc = me[n].inc
    /\ [actor |-> a, gen |-> place[a].gen] \notin runs[n]
    /\ \A m \in Sent(n, a) : IF m.to = None THEN ~RELEASED ELSE ~ABORTED
    /\ LET before == {w \in flight : w.node = n /\ w.actor = a /\ w.gen = place[a].gen} IN
       /\ SETTLED => before = {}
       /\ flight' = (flight \ before) \union {[w EXCEPT !.old = TRUE] : w \in before}
    /\ runs' = [runs EXCEPT ![n] = @ \union {[actor |-> a, gen |-> place[a].gen]}]
    /\ loaded' = [loaded EXCEPT ![a] = place[a].gen]
    /\ UNCHANGED <<rec, view, primary, ack, gone, place, me, lview, claim, lease,
                   cutStore, cutPeer, moves, twin, joins, stale>>

\* Planned migration: the source has stopped the actor first (it is not in runs),
\* then sends the transaction that hands the placement over; it lands any time.
MigrateActor(s, t, a) ==
    /\ s # t /\ place[a].node = s /\ place[a].gen < MaxGen
    /\ Hosting(s, place[a].inc) /\ me[s].inc = place[a].inc
    /\ s \notin cutStore /\ lease[s]
    /\ [actor |-> a, gen |-> place[a].gen] \notin runs[s]
    /\ rec[t].state = Active
    /\ moves' = moves \union {[from |-> s, to |-> t, inc |-> rec[t].inc, actor |-> a, gen |-> place[a].gen]}
    /\ UNCHANGED <<store, local, cutStore, cutPeer, flight, twin, joins, stale>>

\* The actor is idle, or its node leaves: the host has stopped it and gives the
\* placement up, keeping the row and its generation. It reads the placement alone,
\* so it needs neither a lease nor to be current. It lands any time, as a hand-over
\* to nobody.
ReleaseActor(n, a) ==
    /\ place[a].node = n /\ place[a].inc = me[n].inc
    /\ me[n].state \in {Active, Leaving} /\ n \notin cutStore
    /\ [actor |-> a, gen |-> place[a].gen] \notin runs[n]
    /\ moves' = moves \union {[from |-> n, to |-> None, inc |-> 0, actor |-> a, gen |-> place[a].gen]}
    /\ UNCHANGED <<store, local, cutStore, cutPeer, flight, twin, joins, stale>>

\* A hand-over or a release reaches the store.
CommitMove(m) ==
    /\ moves' = moves \ {m}
    /\ LET mine == place[m.actor].node = m.from /\ place[m.actor].gen = m.gen IN
       place' = IF m.to = None
                THEN IF mine THEN [place EXCEPT ![m.actor] = [node |-> None, inc |-> 0, gen |-> m.gen]]
                             ELSE place
                ELSE IF mine /\ rec[m.to].state = Active /\ rec[m.to].inc = m.inc /\ Hosts(m.to)
                THEN [place EXCEPT ![m.actor] = [node |-> m.to, inc |-> m.inc, gen |-> m.gen + 1]]
                ELSE place
    /\ UNCHANGED <<rec, view, primary, ack, gone, loaded, local, cutStore, cutPeer, flight, twin, joins, stale>>
\* The source takes the actor back: a new generation at the same node.
AbortMove(s, a) ==
    /\ HandedOver(s, a) /\ Current(s) /\ lease[s] /\ s \notin cutStore
    /\ place[a].node = s /\ place[a].inc = me[s].inc /\ place[a].gen < MaxGen
    /\ place' = [place EXCEPT ![a].gen = @ + 1]
    /\ UNCHANGED <<rec, view, primary, ack, gone, loaded, local, net, stale>>

Deactivate(n, r) ==
    /\ r \in runs[n]
    /\ runs' = [runs EXCEPT ![n] = @ \ {r}]
    /\ UNCHANGED <<store, me, lview, claim, lease, net, stale>>

\* An activation writes. Its node checked the lease when it sent the write; the
\* write arrives later, whatever the lease says by then (a paused process, a slow
\* network). FENCED: the transaction reads the placement; that is the fence.
SendWrite(n, r) ==
    /\ r \in runs[n] /\ lease[n] /\ n \notin cutStore
    /\ \A w \in flight : ~(w.node = n /\ w.actor = r.actor /\ w.gen = r.gen /\ ~w.old)
    /\ flight' = flight \union {[node |-> n, actor |-> r.actor, gen |-> r.gen, old |-> FALSE]}
    /\ UNCHANGED <<store, local, cutStore, cutPeer, moves, twin, joins, stale>>

CommitWrite(w) ==
    /\ w \in flight
    /\ flight' = flight \ {w}
    /\ IF FENCED /\ ~(place[w.actor].node = w.node /\ place[w.actor].gen = w.gen)
       THEN UNCHANGED stale
       ELSE stale' = (stale \/ w.gen < loaded[w.actor] \/ w.old)
    /\ UNCHANGED <<store, local, cutStore, cutPeer, moves, twin, joins>>

-----------------------------------------------------------------------------
(* The network *)
CutStore(n)  == n \notin cutStore /\ cutStore' = cutStore \union {n}
    /\ UNCHANGED <<store, local, cutPeer, flight, moves, twin, joins, stale>>
HealStore(n) == n \in cutStore /\ cutStore' = cutStore \ {n}
    /\ UNCHANGED <<store, local, cutPeer, flight, moves, twin, joins, stale>>
CreatePartition(a, b) == a # b /\ {a, b} \notin cutPeer
    /\ cutPeer' = cutPeer \union {{a, b}} /\ UNCHANGED <<store, local, cutStore, flight, moves, twin, joins, stale>>
HealPartition(a, b) == {a, b} \in cutPeer
    /\ cutPeer' = cutPeer \ {{a, b}} /\ UNCHANGED <<store, local, cutStore, flight, moves, twin, joins, stale>>

Otherwise ==
    \/ \E n \in Nodes :
        \/ NodeJoin(n) \/ NodeJoinComplete(n) \/ NodeLeave(n) \/ NodeLeaveComplete(n)
        \/ SendHeartbeat(n) \/ SyncViews(n) \/ LeaseExpire(n) \/ Notice(n) \/ Twin(n) \/ TwinExpire(n) \/ NodeCrash(n) \/ NodeRecover(n)
        \/ DieJoining(n) \/ (\E i \in 1..(MaxInc + 1) : DeclareDead(n, i)) \/ ForceForget(n)
        \/ ElectPrimary(n) \/ PrimaryStepDown(n)
        \/ CutStore(n) \/ HealStore(n)
        \/ \E a \in Actors : PlaceActor(n, a) \/ Activate(n, a) \/ ReleaseActor(n, a) \/ AbortMove(n, a)
        \/ \E r \in runs[n] : Deactivate(n, r) \/ SendWrite(n, r)
        \/ \E m \in Nodes : MarkNodeFailed(n, m) \/ MarkDeadAll(n, m) \/ Forget(n, m) \/ CreatePartition(n, m) \/ HealPartition(n, m)
        \/ \E m \in Nodes, a \in Actors : MigrateActor(n, m, a)
    \/ \E w \in flight : CommitWrite(w)
    \/ \E m \in moves : CommitMove(m)
    \/ \E j \in joins : CommitJoin(j)
Next ==
    \/ Otherwise /\ UNCHANGED kinds
    \/ \E n \in Nodes : HostTypes(n) \/ EndType(n)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* Invariants *)
States == {Left, Joining, Active, Leaving, Failed}
TypeOK ==
    /\ rec \in [Nodes -> [state : States, inc : 0..MaxInc]]
    /\ view \in [num : 0..MaxView, members : SUBSET Nodes]
    /\ primary \in [node : Nodes \union {None}, inc : 0..MaxInc, term : 0..MaxTerm]
    /\ ack \in [Nodes -> 0..MaxView] /\ gone \in [Nodes -> 0..MaxView]
    /\ place \in [Actors -> [node : Nodes \union {None}, inc : 0..MaxInc, gen : 0..MaxGen]]
    /\ me \in [Nodes -> [state : States, inc : 0..MaxInc]]
    /\ claim \in [Nodes -> 0..MaxTerm] /\ lease \in [Nodes -> BOOLEAN]
    /\ cutStore \subseteq Nodes
    /\ types \in [Nodes -> 0..MaxInc] /\ has \in [Nodes -> BOOLEAN]

\* At most one node acts as primary.
NoSplitBrain ==
    \A a, b \in Nodes : (claim[a] > 0 /\ lease[a] /\ claim[b] > 0 /\ lease[b]) => a = b

\* A view number stands for one view, wherever it is held.
MembershipConsistency ==
    /\ \A a, b \in Nodes : (lview[a].num = lview[b].num) => lview[a].members = lview[b].members
    /\ \A a \in Nodes : (lview[a].num = view.num) => lview[a].members = view.members

\* A node has a view exactly when it has fully joined.
JoinAtomicity ==
    \A n \in Nodes :
        /\ me[n].state = Active => (n \in lview[n].members)
        /\ me[n].state \in {Joining, Left} => lview[n].members = {}

\* A node that left is in no active node's view.
LeaveDetectionWeak ==
    \A n, m \in Nodes :
        (rec[n].state = Left /\ rec[m].state = Active /\ rec[m].inc = me[m].inc /\ lease[m])
            => n \notin lview[m].members

\* The view is the set of active nodes.
ViewIsActive == view.members = InStore(Active)

\* At most one activation of an actor has a running lease.
SingleActivation ==
    \A a \in Actors : 
        Cardinality({<<n, "new">> : n \in {k \in Nodes : lease[k] /\ \E r \in runs[k] : r.actor = a}}
            \union {<<n, "old">> : n \in {k \in Nodes : \E r \in twin[k] : r.actor = a}}) <= 1

\* No write of an earlier activation lands after a later one has read the state.
NoStaleWrite == ~stale

\* What runs is what is placed: so nothing runs of an actor placed nowhere, and none
\* of a generation that was released or handed over.
RunsArePlaced ==
    \A n \in Nodes : \A r \in twin[n] \union (IF lease[n] THEN runs[n] ELSE {}) :
        place[r.actor].node = n /\ place[r.actor].gen = r.gen

\* Whoever lives and is named by a placement can run it: there is none on a node from which the type has gone.
PlacedIsHosted ==
    \A a \in Actors : \A n \in Nodes :
        (place[a].node = n /\ me[n].state \in {Active, Leaving} /\ Current(n)
            /\ place[a].inc = me[n].inc) => has[n]

\* No join of a process that was declared dead can land.
DeclaredStaysOut == \A j \in joins : ~j.told

TermBound == \A n \in Nodes : claim[n] <= primary.term

\* Terms and view numbers only grow, and a term is granted only to a node that a
\* majority of all members was with (or to the founder of the cluster).
Growth ==
    [][ /\ primary'.term >= primary.term /\ view'.num >= view.num
        /\ \A n \in Nodes : rec'[n].inc >= rec[n].inc
        /\ \A a \in Actors : place'[a].gen >= place[a].gen ]_vars

\* Whoever a placement comes to name gets a new generation; giving it up keeps it.
GenerationFences ==
    [][ \A a \in Actors : place'[a] # place[a] =>
          place'[a].gen = (IF place'[a].node = None THEN place[a].gen ELSE place[a].gen + 1) ]_vars
\* Who comes to be placed on a node comes to one that hosts the type at that moment.
PlacedWhereHosted ==
    [][ \A a \in Actors : LET q == place'[a] IN
          (TYPED /\ q.node # None /\ <<q.node, q.inc>> # <<place[a].node, place[a].inc>>)
              => types[q.node] = q.inc ]_vars
GrantedByMajority ==
    [][ primary'.term > primary.term =>
          (Members = {} \/ Majority(primary'.node)) ]_vars

-----------------------------------------------------------------------------
\* used to shrink the search: node names are interchangeable
Sym == Permutations(Nodes)
\* at most one node is cut off from the store, and one pair from each other, at a time
FewCuts == Cardinality(cutStore) <= 1 /\ Cardinality(cutPeer) <= 1
=============================================================================

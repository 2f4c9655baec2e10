--------------------------- MODULE KelpieLiveness ---------------------------
(* Liveness: faults of every kind, then calm for good, in which one node of    *)
(* three may be dead for good. Every living node becomes Active with the stored *)
(* view, and a living node is primary.                                         *)
EXTENDS KelpieCluster

CONSTANTS QUIET,    \* TRUE: before the calm only joins, crashes, recoveries, view reads
          FORCED    \* TRUE: too few voters are left, and the operator forces the dead out

VARIABLES calm, dead
lvars == <<vars, calm, dead>>

InitL == Init /\ calm = FALSE /\ dead = {}

\* leave enough of the bounds for the calm
Room == /\ view'.num <= MaxView - 6 /\ primary'.term <= MaxTerm - 2
        /\ \A n \in Nodes : rec'[n].inc <= MaxInc - 1

Noise == /\ ~calm
         /\ IF QUIET
            THEN /\ \E n \in Nodes : NodeJoin(n) \/ NodeJoinComplete(n) \/ NodeCrash(n)
                                      \/ NodeRecover(n) \/ SyncViews(n)
                 /\ UNCHANGED kinds
            ELSE Next
         /\ Room /\ UNCHANGED <<calm, dead>>

Heal == calm' = TRUE /\ cutStore' = {} /\ cutPeer' = {}
Calm == ~calm /\ ~QUIET /\ Heal
    /\ UNCHANGED <<store, local, flight, moves, twin, joins, kinds, stale, dead>>
Die(n) == ~calm /\ (FORCED \/ Cardinality(Nodes) > 2) /\ dead' = {n} /\ Heal
    /\ me'    = [me EXCEPT ![n] = [state |-> Left, inc |-> me[n].inc]]
    /\ lview' = [lview EXCEPT ![n] = NoView] /\ claim' = [claim EXCEPT ![n] = 0]
    /\ lease' = [lease EXCEPT ![n] = FALSE]  /\ runs'  = [runs EXCEPT ![n] = {}]
    /\ UNCHANGED <<store, flight, moves, twin, joins, kinds, stale>>

K == UNCHANGED <<calm, dead, kinds>>
L(n) == n \notin dead /\ calm
A1(n) == L(n) /\ NodeJoin(n) /\ K
A2(n) == L(n) /\ NodeJoinComplete(n) /\ K
A3(n) == L(n) /\ NodeLeaveComplete(n) /\ K
A4(n) == L(n) /\ SendHeartbeat(n) /\ K
A5(n) == L(n) /\ SyncViews(n) /\ K
A6(n) == L(n) /\ Notice(n) /\ K
A7(n) == L(n) /\ NodeRecover(n) /\ K
A8(n) == L(n) /\ ElectPrimary(n) /\ K
A9(n) == L(n) /\ PrimaryStepDown(n) /\ K
A10(n) == L(n) /\ (\E m \in Nodes : MarkNodeFailed(n, m) \/ MarkDeadAll(n, m)) /\ K
\* The supervisor of a dead process may speak in the calm too, or never.
A11(n) == calm /\ (\E i \in 1..MaxInc : DeclareDead(n, i)) /\ K
\* The operator acts only where told to, and then insists.
A12(n) == calm /\ FORCED /\ n \in dead /\ ForceForget(n) /\ K

NextL == Noise \/ Calm \/ \E n \in Nodes :
    Die(n) \/ A1(n) \/ A2(n) \/ A3(n) \/ A4(n) \/ A5(n) \/ A6(n) \/ A7(n) \/ A8(n) \/ A9(n) \/ A10(n)
    \/ A11(n) \/ A12(n)

SpecL == InitL /\ [][NextL]_lvars /\ \A n \in Nodes :
    /\ WF_lvars(A1(n)) /\ WF_lvars(A2(n)) /\ WF_lvars(A3(n)) /\ WF_lvars(A4(n)) /\ WF_lvars(A5(n))
    /\ WF_lvars(A6(n)) /\ WF_lvars(A7(n)) /\ WF_lvars(A8(n)) /\ WF_lvars(A9(n)) /\ WF_lvars(A10(n))
    /\ WF_lvars(A12(n))

Alive == Nodes \ dead
Good  == /\ \A n \in Alive : me[n].state = Active /\ Current(n) /\ lview[n] = view
         /\ \E n \in Alive : claim[n] > 0 /\ lease[n] /\ primary.node = n
EventualMembershipConvergence == [](calm => <>[]Good)
=============================================================================

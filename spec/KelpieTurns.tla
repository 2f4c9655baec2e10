---------------------------- MODULE KelpieTurns ----------------------------
(* One actor, its turns and what they leave behind: requests that are applied once however often and
   however late they are repeated, replies that leave only when all they have seen is durable, messages
   that are rows of an inbox, erasing. The placement is abstract: its generation may grow at any time,
   and an activation that lost it goes on until it hears of it (KelpieCluster.tla says when that can
   be). All local clocks run at true speed.

   A turn runs on what the actor is about to be. What turns changed is committed together, one commit
   at a time; a commit reads the placement and the head row, whose number says which commit comes next.
   It may land late, when nobody waits for it any more, or never. *)
EXTENDS Integers, FiniteSets

CONSTANTS
    Ids,          \* requests of clients
    W,            \* window that a client without an age may rely on
    S,            \* what a client's socket may hold beyond what anybody counts
    H,            \* what nodes may hold a request without an age
    Delay,        \* what the sockets really hold, at most (environment)
    FreshOwn,     \* own time with which a new head row begins
    Senders, MaxSent,   \* other actors, and how many messages each sends
    MaxTries,     \* failed attempts after which a message lies with the dead letters
    MaxVersion,   \* of a row with a name: how often it is replaced
    MaxErase, MaxTime, MaxGen, MaxInFlight, MaxBatch,
    \* TRUE: as designed. FALSE: one mistake.
    RAISED,       \* who holds a request raises its age
    WAITS,        \* the horizon waits for requests in the mailbox
    SWEEP_WAITS,  \* a sweep waits longer than the distance
    GATED,        \* what leaves waits for the commits of all that its turn has seen
    NUMBERED,     \* a commit reads the number of the head row
    SETTLED,      \* a commit of unknown result is settled before anything else
    ERASE_KEEPS,  \* erasing keeps the ids
    SAME_COMMIT,  \* a message's row goes in the commit that carries its effects
    VERSIONED,    \* that commit reads the version of a row with a name
    HOLDS_BACK,   \* a message that failed holds back those behind it
    NUDGER        \* what lies is nudged for, though the sender's own nudge was lost

D == W + S + H
Unknown == -1
None == [g |-> 0]
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
SetMin(s) == CHOOSE x \in s : \A y \in s : x <= y
Gens == 1..MaxGen

VARIABLES
    now,
    gen, placed,    \* the placement
    head,           \* the head row: number of the last commit, own time, horizon
    mem,            \* remembered ids with the own time at which they were applied
    inbox,          \* rows: sender, number, version, failed attempts
    act,            \* activations, alive or not
    air,            \* commits that may still land
    landed,         \* those that did
    socket, box,    \* requests on their way, and in mailboxes
    first,          \* when a request was first sent
    count,          \* how often each was applied
    left,           \* requests whose reply has left
    sent, done, dead, replaced, last,   \* messages: numbers sent; applied, dead, replaced (s, k, v); order
    twice, misordered,
    nudged, erased, watch, wronged

store == <<gen, placed, head, mem, inbox>>
messages == <<sent, done, dead, replaced, last, twice, misordered>>
requests == <<socket, box, first, left, wronged>>
vars == <<now, store, act, air, landed, requests, count, messages, nudged, erased, watch>>

NoWatch == [since |-> -1, gen |-> 0, n |-> 0, mem |-> {}]
Asleep == [alive |-> FALSE, base |-> 0, start |-> 0, known |-> 0, flight |-> None,
           unknown |-> FALSE, next |-> {}, gate |-> {}]

Init == /\ now = 0 /\ gen = 0 /\ placed = FALSE
        /\ head = [n |-> 0, own |-> FreshOwn, hor |-> 0] /\ mem = {} /\ inbox = {}
        /\ act = [g \in Gens |-> Asleep] /\ air = {} /\ landed = {}
        /\ socket = {} /\ box = {} /\ first = [i \in Ids |-> -1]
        /\ count = [i \in Ids |-> 0] /\ left = {} /\ wronged = FALSE
        /\ sent = [s \in Senders |-> 0] /\ done = {} /\ dead = {} /\ replaced = {}
        /\ last = [s \in Senders |-> 0] /\ twice = FALSE /\ misordered = FALSE
        /\ nudged = FALSE /\ erased = 0 /\ watch = NoWatch

Own(g) == act[g].base + (now - act[g].start)
Flying(g) == act[g].flight # None
Items(g) == act[g].next \cup (IF Flying(g) THEN act[g].flight.items ELSE {})
\* The number of the commit with which all that a turn sees now is durable.
Top(g) == act[g].known + (IF Flying(g) THEN 1 ELSE 0) + (IF act[g].next # {} THEN 1 ELSE 0)
May(g) == act[g].alive /\ ~act[g].unknown

Request(i) == [kind |-> "request", id |-> i]
Erasure == [kind |-> "erase"]
Applied(r) == [kind |-> "message", s |-> r.s, k |-> r.k, v |-> r.v]
Failed(r) == [kind |-> "failed", s |-> r.s, k |-> r.k, v |-> r.v]

(* ---- time, clients, sockets *)

Tick == /\ now < MaxTime /\ now' = now + 1
        /\ UNCHANGED <<store, act, air, landed, requests, count, messages, nudged, erased, watch>>

Send(i, aged) ==
    /\ Cardinality(socket) + Cardinality(box) < MaxInFlight
    /\ first' = [first EXCEPT ![i] = IF @ = -1 THEN now ELSE @]
    /\ socket' = socket \cup {[id |-> i, t0 |-> IF aged THEN 0 ELSE first'[i], at |-> now,
                               said |-> IF aged THEN now - first'[i] ELSE Unknown]}
    /\ UNCHANGED <<now, store, act, air, landed, box, left, wronged, count, messages, nudged, erased, watch>>

(* A client without an age keeps to the window, also with what its socket holds. *)
Arrive(m, g) ==
    /\ act[g].alive /\ now - m.at <= Delay
    /\ m.said = Unknown => now - m.t0 <= W
    /\ socket' = socket \ {m}
    /\ box' = box \cup {[id |-> m.id, arr |-> now, g |-> g,
                         age |-> IF m.said = Unknown THEN W ELSE m.said]}
    /\ UNCHANGED <<now, store, act, air, landed, first, left, wronged, count, messages, nudged, erased, watch>>

Lose(m) == /\ socket' = socket \ {m}
           /\ UNCHANGED <<now, store, act, air, landed, box, first, left, wronged, count, messages,
                          nudged, erased, watch>>

(* ---- placement and activations *)

(* The activation reads the head row no earlier than its placement was committed. *)
Place ==
    /\ gen < MaxGen /\ ~placed /\ gen' = gen + 1 /\ placed' = TRUE
    /\ Ids # {} \/ nudged
    /\ act' = [act EXCEPT ![gen + 1] = [Asleep EXCEPT !.alive = TRUE, !.base = head.own,
                                                     !.start = now, !.known = head.n]]
    /\ UNCHANGED <<now, head, mem, inbox, air, landed, requests, count, messages, nudged, erased, watch>>

(* After a commit that did not land: the same placement, everything read anew. What it had under way is
   settled before. *)
Reload ==
    /\ gen > 0 /\ placed /\ ~act[gen].alive /\ ~\E c \in air : c.g = gen
    /\ act' = [act EXCEPT ![gen] = [Asleep EXCEPT !.alive = TRUE, !.base = head.own, !.start = now,
                                                 !.known = head.n]]
    /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch>>

End(g) == act' = [act EXCEPT ![g] = Asleep]
(* The process dies, or its node is failed while it goes on: the placement is void, it is not told. *)
Die(g) == /\ act[g].alive /\ g < MaxGen /\ End(g)
          /\ placed' = IF g = gen THEN FALSE ELSE placed
          /\ box' = {b \in box : b.g # g}
          /\ UNCHANGED <<now, gen, head, mem, inbox, air, landed, socket, first, left, wronged, count,
                         messages, nudged, erased, watch>>
Void == /\ gen > 0 /\ gen < MaxGen /\ placed /\ placed' = FALSE
        /\ UNCHANGED <<now, gen, head, mem, inbox, act, air, landed, requests, count, messages, nudged,
                       erased, watch>>

(* An orderly end: nothing is under way; own time is written. *)
Release(g) == /\ g = gen /\ placed /\ May(g) /\ ~Flying(g) /\ act[g].next = {} /\ act[g].gate = {}
              /\ head.n = act[g].known /\ g < MaxGen
              /\ head' = [head EXCEPT !.own = Own(g), !.n = @ + 1] /\ placed' = FALSE /\ End(g)
              /\ box' = {b \in box : b.g # g}
              /\ UNCHANGED <<now, gen, mem, inbox, air, landed, socket, first, left, wronged, count,
                             messages, nudged, erased, watch>>

(* ---- turns *)

Age(b) == b.age + (IF RAISED THEN now - b.arr ELSE 0)
Run(g, item, g2) ==   \* what the turn changed joins the next commit, its reply waits at the gate
    act' = [act EXCEPT ![g].next = @ \cup {item}, ![g].gate = @ \cup g2]

Turn(b) ==
    LET g == b.g
        known == (\E e \in mem : e.id = b.id) \/ Request(b.id) \in Items(g)
        within == Own(g) - (Age(b) + S) >= head.hor
        after == act[g].known + (IF Flying(g) THEN 1 ELSE 0) + 1
    IN  /\ May(g) /\ Cardinality(act[g].next) < MaxBatch
        /\ box' = box \ {b}
        /\ ~known
        /\ IF within
           THEN /\ Run(g, Request(b.id), {[id |-> b.id, n |-> after]})
                /\ UNCHANGED <<left, wronged>>
           ELSE /\ wronged' = (wronged \/ (b.age <= W /\ now - b.arr <= H))
                /\ UNCHANGED <<act, left>>
        /\ UNCHANGED <<now, store, air, landed, socket, first, count, messages, nudged, erased, watch>>

(* A repeat gets the first one's reply, when all that this turn has seen is durable. *)
Repeat(b) ==
    LET g == b.g IN
    /\ May(g) /\ box' = box \ {b}
    /\ (\E e \in mem : e.id = b.id) \/ Request(b.id) \in Items(g)
    /\ act' = [act EXCEPT ![g].gate = @ \cup {[id |-> b.id, n |-> Top(g)]}]
    /\ UNCHANGED <<now, store, air, landed, socket, first, left, wronged, count, messages, nudged,
                   erased, watch>>

Erase(g) == /\ May(g) /\ erased < MaxErase /\ erased' = erased + 1
            /\ Run(g, Erasure, {})
            /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, watch>>

(* Senders in turns, each in order: the first row of a sender that is not being dealt with. A failed
   one stays the first until it succeeds or is dead. *)
Rows(s) == {r \in inbox : r.s = s}
InHand(g, r) == \E i \in Items(g) : i.kind \in {"message", "failed"} /\ i.s = r.s /\ i.k = r.k
Next(g, s) ==
    LET open == {r \in Rows(s) : ~InHand(g, r) /\ (HOLDS_BACK \/ r.tries = 0)}
        any == IF open = {} THEN {r \in Rows(s) : ~InHand(g, r)} ELSE open
    IN  {r \in any : \A q \in any : r.k <= q.k}
(* One that is being tried, and may fail, is waited for. *)
Trying(g, s) == \E i \in Items(g) : i.kind = "failed" /\ i.s = s
RunMessage(g, s) ==
    \E r \in Next(g, s), works \in BOOLEAN :
        /\ May(g) /\ Cardinality(act[g].next) < MaxBatch
        /\ HOLDS_BACK => ~Trying(g, s)
        /\ works \/ r.tries < MaxTries
        /\ Run(g, IF works THEN Applied(r) ELSE Failed(r), {})
        /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch>>

(* ---- commits *)

Follow(g) ==
    LET needs == {Own(g) - (Age(x) + S) : x \in {y \in box : y.g = g}}
        to == Own(g) - D
    IN  Max(head.hor, IF WAITS /\ needs # {} THEN Min(to, SetMin(needs)) ELSE to)

Commit(g) ==
    LET c == [g |-> g, n |-> act[g].known + 1, items |-> act[g].next, own |-> Own(g), hor |-> Follow(g)]
    IN  /\ May(g) /\ ~Flying(g)
        /\ act[g].next # {} \/ (Ids # {} /\ now > act[g].start)   \* other turns' commits move own time
        /\ air' = air \cup {c}
        /\ act' = [act EXCEPT ![g].flight = c, ![g].next = {}]
        /\ UNCHANGED <<now, store, landed, requests, count, messages, nudged, erased, watch>>

ReadsRow(i) == i.kind \in {"message", "failed"}
RowIsThere(i) == \E r \in inbox : r.s = i.s /\ r.k = i.k /\ (VERSIONED => r.v = i.v)
Fits(c) == /\ placed /\ gen = c.g
           /\ NUMBERED => head.n = c.n - 1
           /\ \A i \in c.items : ReadsRow(i) => RowIsThere(i)
RowOf(i) == CHOOSE r \in inbox : r.s = i.s /\ r.k = i.k
Msgs(c) == {i \in c.items : i.kind = "message"}
Fails(c) == {i \in c.items : i.kind = "failed"}
Dying(c) == {i \in Fails(c) : RowOf(i).tries = MaxTries - 1}
Triple(i) == [s |-> i.s, k |-> i.k, v |-> i.v]
Gone(c) == {RowOf(i) : i \in Dying(c)} \cup (IF SAME_COMMIT THEN {RowOf(i) : i \in Msgs(c)} ELSE {})
Tried(c) == {[RowOf(i) EXCEPT !.tries = @ + 1] : i \in Fails(c) \ Dying(c)}

Lands(c) ==
    LET ids == {i.id : i \in {j \in c.items : j.kind = "request"}}
        erases == Erasure \in c.items
        kept == IF erases /\ ~ERASE_KEEPS THEN {} ELSE mem
    IN  /\ count' = [i \in Ids |-> IF i \in ids THEN count[i] + 1 ELSE count[i]]
        /\ head' = [n |-> c.n, own |-> c.own, hor |-> c.hor]
        /\ mem' = {e \in kept \cup {[id |-> i, own |-> c.own] : i \in ids} : e.own >= c.hor}
        /\ inbox' = (inbox \ (Gone(c) \cup {RowOf(i) : i \in Fails(c)})) \cup Tried(c)
        /\ done' = done \cup {Triple(i) : i \in Msgs(c)}
        /\ dead' = dead \cup {Triple(i) : i \in Dying(c)}
        /\ twice' = (twice \/ \E i \in Msgs(c) : Triple(i) \in done)
        /\ misordered' = (misordered \/ \E i \in Msgs(c) : i.k < last[i.s] \/
                            \E r \in Rows(i.s) : r.k < i.k /\ ~\E j \in c.items :
                                ReadsRow(j) /\ j.s = r.s /\ j.k = r.k)
        /\ last' = [s \in Senders |->
                      LET ks == {i.k : i \in {j \in Msgs(c) : j.s = s}}
                      IN IF ks = {} THEN last[s] ELSE CHOOSE k \in ks : \A q \in ks : q <= k]
        /\ landed' = landed \cup {<<c.g, c.n>>}
        /\ UNCHANGED <<sent, replaced>>

Land(c) == /\ air' = air \ {c}
           /\ IF Fits(c) THEN Lands(c)
                         ELSE UNCHANGED <<count, head, mem, inbox, messages, landed>>
           /\ UNCHANGED <<now, gen, placed, act, requests, nudged, erased, watch>>

(* Its outcome is known: it landed, or the activation ends, memory included. *)
Learn(g) ==
    LET c == act[g].flight IN
    /\ act[g].alive /\ Flying(g) /\ c \notin air
    /\ IF <<c.g, c.n>> \in landed
       THEN act' = [act EXCEPT ![g].flight = None, ![g].known = c.n, ![g].unknown = FALSE]
            /\ UNCHANGED box
       ELSE End(g) /\ box' = {b \in box : b.g # g}
    /\ UNCHANGED <<now, store, air, landed, socket, first, left, wronged, count, messages, nudged, erased,
                   watch>>

(* Nobody says so: nothing leaves and no turn begins until a commit of one of the keys that it read
   has decided it. (The mistake: it is taken for one that failed, and the turns go on.) *)
GiveUp(g) ==
    /\ May(g) /\ Flying(g) /\ act[g].flight \in air
    /\ act' = IF SETTLED THEN [act EXCEPT ![g].unknown = TRUE]
              ELSE [act EXCEPT ![g].flight = None, ![g].next = {}, ![g].gate = {}]
    /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch>>
Settle(g) == /\ act[g].alive /\ act[g].unknown /\ act[g].flight \in air
             /\ air' = air \ {act[g].flight}
             /\ UNCHANGED <<now, store, act, landed, requests, count, messages, nudged, erased, watch>>

Reply(g, r) == /\ act[g].alive /\ r \in act[g].gate
               /\ GATED => r.n <= act[g].known
               /\ act' = [act EXCEPT ![g].gate = @ \ {r}] /\ left' = left \cup {r.id}
               /\ UNCHANGED <<now, store, air, landed, socket, box, first, wronged, count, messages,
                              nudged, erased, watch>>

(* ---- messages: a send commits a row; the nudge that follows may be lost *)

SendMessage(s, heard) ==
    /\ sent[s] < MaxSent /\ sent' = [sent EXCEPT ![s] = @ + 1]
    /\ inbox' = inbox \cup {[s |-> s, k |-> sent'[s], v |-> 1, tries |-> 0]}
    /\ nudged' = (nudged \/ heard)
    /\ UNCHANGED <<now, gen, placed, head, mem, act, air, landed, requests, count, done, dead, replaced,
                   last, twice, misordered, erased, watch>>
Replace(r) ==
    /\ r.v < MaxVersion
    /\ inbox' = (inbox \ {r}) \cup {[r EXCEPT !.v = @ + 1, !.tries = 0]}
    /\ replaced' = replaced \cup {Triple(r)}
    /\ UNCHANGED <<now, gen, placed, head, mem, act, air, landed, requests, count, sent, done, dead, last,
                   twice, misordered, nudged, erased, watch>>
Nudge == /\ NUDGER /\ inbox # {} /\ ~nudged /\ nudged' = TRUE
         /\ UNCHANGED <<now, store, act, air, landed, requests, count, messages, erased, watch>>
(* The mistake: the row goes in a commit of its own, some time after the one with its effects. *)
Tidy(r) == /\ ~SAME_COMMIT /\ Triple(r) \in done /\ inbox' = inbox \ {r}
           /\ UNCHANGED <<now, gen, placed, head, mem, act, air, landed, requests, count, messages, nudged,
                          erased, watch>>

(* ---- sweeps of what a passive actor remembers *)

Look == /\ ~placed /\ gen > 0
        /\ watch' = [since |-> now, gen |-> gen, n |-> head.n, mem |-> mem] /\ watch # watch'
        /\ UNCHANGED <<now, store, act, air, landed, requests, count, messages, nudged, erased>>
Sweep == /\ ~placed /\ watch.since >= 0 /\ watch.gen = gen /\ watch.n = head.n /\ watch.mem = mem
         /\ SWEEP_WAITS => now - watch.since > D
         /\ head' = [n |-> head.n + 1, own |-> FreshOwn, hor |-> 0] /\ mem' = {} /\ watch' = NoWatch
         /\ UNCHANGED <<now, gen, placed, inbox, act, air, landed, requests, count, messages, nudged, erased>>

Other == \/ Tick \/ Place \/ Reload \/ Void \/ Look \/ Sweep \/ Nudge
         \/ \E i \in Ids, aged \in BOOLEAN : Send(i, aged)
         \/ \E m \in socket : Lose(m) \/ \E g \in Gens : Arrive(m, g)
         \/ \E b \in box : Turn(b) \/ Repeat(b)
         \/ \E s \in Senders, heard \in BOOLEAN : SendMessage(s, heard)
         \/ \E r \in inbox : Replace(r) \/ Tidy(r)
         \/ \E c \in air : Land(c)
Acts == \E g \in Gens : \/ Die(g) \/ Release(g) \/ Erase(g) \/ Commit(g) \/ Learn(g) \/ GiveUp(g)
                        \/ Settle(g) \/ \E r \in act[g].gate : Reply(g, r)
                        \/ \E s \in Senders : RunMessage(g, s)
Step == Other \/ Acts
Spec == Init /\ [][Step]_vars

(* What must come about when faults stop: the last generation's process does not die. *)
Fair == /\ WF_vars(Place) /\ WF_vars(Reload) /\ WF_vars(Nudge)
        /\ \A g \in Gens : /\ WF_vars(\E s \in Senders : RunMessage(g, s))
                           /\ WF_vars(Commit(g)) /\ WF_vars(Learn(g)) /\ WF_vars(Settle(g))
        /\ SF_vars(\E c \in air : Land(c))   \* not every commit stays unknown for ever
LiveSpec == Spec /\ Fair

(* ---- what must hold *)

AppliedOnce == \A i \in Ids : count[i] <= 1
\* Who keeps to the window and is not held beyond H is not refused.
NobodyWronged == ~wronged
\* A reply that left is of a request that is durable.
NothingLeavesEarly == \A i \in left : count[i] >= 1
MessageOnce == ~twice
OrderKept == ~misordered
\* Every version of every message lies in the inbox, was applied, is dead, or was replaced.
NothingDueIsLost ==
    \A s \in Senders : \A k \in 1..sent[s] :
        LET here == \E r \in inbox : r.s = s /\ r.k = k
            applied == \E t \in done \cup dead : t.s = s /\ t.k = k
            newest == 1 + Cardinality({t \in replaced : t.s = s /\ t.k = k})
        IN  here \/ (applied /\ \E t \in done \cup dead : t.s = s /\ t.k = k /\ t.v = newest)
\* A commit forgets only what lies before the horizon, an erasing one too.
EraseForgetsNothingYoung ==
    [][head'.n = head.n + 1 /\ watch' = watch => \A e \in mem : e \in mem' \/ e.own < head'.hor]_vars
DueIsApplied == <>[](inbox = {})
=============================================================================

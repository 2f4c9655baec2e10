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
    Outcomes,     \* what turns do: "write", "error" (one of the domain, remembered), "nothing"
    Senders, MaxSent,   \* other actors, and how many messages each sends at once
    MaxNamed,     \* and how many with a name, each in the place of the last
    MaxTries,     \* failed attempts after which a message lies with the dead letters
    MaxErase, MaxTime, MaxGen, MaxInFlight, MaxBatch,
    Sweeps,       \* what a passive actor remembers is swept
    Mistakes      \* {}: as designed

(* The mistakes, each the opposite of a rule:
   noraise     who holds a request does not raise its age
   life        an age within the life of the activation counts as new
   oldhorizon  a request is judged by the last commit that is known, not by the one under way
   early       the horizon follows at a distance of nothing
   still       what is forgotten does not move the horizon
   nowait      the horizon does not wait for requests in the mailbox
   fresh       a new head row begins with own time 0
   nosweepwait a sweep does not wait
   sweepexact  a sweep waits the distance, not longer
   sweepedge   what a sweep waited is counted from the horizon, not from the last that it forgets
   erase       erasing takes the ids along
   nofence     a commit does not read the placement
   nonumber    a commit does not read the number of the head row
   nosettle    an activation begins while a commit of its generation may land
   nogate      replies do not wait; quietearly: those of turns that changed nothing; errorearly: errors
   batchearly  what is on its way leaves with what has landed
   twocommits  a message's row goes in another commit than its effects
   norow       the commit does not read the message's row
   noversion   it reads a row with that name, whichever
   order       a message that failed does not hold back those behind it
   readover    nor while a page is read that was asked for before its commit was known
   nonudge     nobody nudges for what lies *)
Ok(m) == m \notin Mistakes

\* Clocks that measured an age may be slower by a hundredth: it is allowed for.
Reach(age) == age + age \div 100 + S
D == Reach(W) + H
FreshOwn == IF Ok("fresh") THEN D ELSE 0
Unknown == -1
None == [g |-> 0]
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
SetMin(s) == CHOOSE x \in s : \A y \in s : x <= y
Gens == 1..MaxGen

VARIABLES
    now,
    gen, placed,    \* the placement
    head,           \* the head row: number and generation of the last commit, own time, horizon
    mem,            \* remembered ids with the own time at which they were applied
    inbox,          \* rows: sender, number (0: it has a name), version, failed attempts
    act,            \* activations, alive or not
    air,            \* commits that may still land
    landed,         \* of each generation the number of the last that did
    socket, box,    \* requests on their way, and in mailboxes
    first,          \* when a request was first sent
    count,          \* how often each was applied
    sent, named,    \* messages: how many were sent of each kind;
    done, dead, replaced,   \* which were applied, are dead letters, were replaced or withdrawn
    nudged, erased, watch,
    wronged, early, twice, misordered   \* what must not be

store == <<gen, placed, head, mem, inbox>>
messages == <<sent, named, done, dead, replaced, twice, misordered>>
requests == <<socket, box, first>>
vars == <<now, store, act, air, landed, requests, count, messages, nudged, erased, watch, wronged, early>>

NoWatch == [since |-> -1, gen |-> 0, n |-> 0]
NoRead == [on |-> FALSE, rows |-> {}]
Asleep == [alive |-> FALSE, off |-> 0, start |-> 0, known |-> 0, hor |-> 0, flight |-> None, next |-> {},
           gate |-> {}, dirty |-> FALSE, read |-> NoRead, hand |-> {}, over |-> {}]

Init == /\ now = 0 /\ gen = 0 /\ placed = FALSE
        /\ head = [n |-> 0, g |-> 0, own |-> FreshOwn, hor |-> 0] /\ mem = {} /\ inbox = {}
        /\ act = [g \in Gens |-> Asleep] /\ air = {} /\ landed = [g \in Gens |-> 0]
        /\ socket = {} /\ box = {} /\ first = [i \in Ids |-> -1]
        /\ count = [i \in Ids |-> 0]
        /\ sent = [s \in Senders |-> 0] /\ named = [s \in Senders |-> 0]
        /\ done = {} /\ dead = {} /\ replaced = {}
        /\ nudged = FALSE /\ erased = 0 /\ watch = NoWatch
        /\ wronged = FALSE /\ early = FALSE /\ twice = FALSE /\ misordered = FALSE

Own(g) == act[g].off + now
Flying(g) == act[g].flight # None
Flight(g) == IF Flying(g) THEN act[g].flight.items ELSE {}
Items(g) == act[g].next \cup Flight(g)
\* The number of the commit with which all that a turn sees now is durable.
Top(g) == act[g].known + (IF Flying(g) THEN 1 ELSE 0) + (IF act[g].next # {} THEN 1 ELSE 0)

Request(i) == [kind |-> "request", id |-> i]
Erasure == [kind |-> "erase"]
\* A message's turn: kind is "done", "failed" (it comes again), or "dead".
Message(kind, r) == [kind |-> kind, s |-> r.s, k |-> r.k, v |-> r.v, tries |-> r.tries]
IsMessage(i) == i.kind \in {"done", "failed", "dead"}
Triple(r) == [s |-> r.s, k |-> r.k, v |-> r.v]

(* ---- time, clients, sockets *)

Pass(t) == /\ t > now /\ now' = t
           /\ UNCHANGED <<store, act, air, landed, requests, count, messages, nudged, erased, watch, wronged,
                          early>>
Tick == now < MaxTime /\ Pass(now + 1)

(* A client without an age keeps to the window. *)
Send(i, aged) ==
    /\ Cardinality(socket) + Cardinality(box) < MaxInFlight
    /\ first' = [first EXCEPT ![i] = IF @ = -1 THEN now ELSE @]
    /\ aged \/ now - first'[i] <= W
    /\ socket' = socket \cup {[id |-> i, at |-> now, said |-> IF aged THEN now - first'[i] ELSE Unknown]}
    /\ UNCHANGED <<now, store, act, air, landed, box, count, messages, nudged, erased, watch, wronged, early>>

\* What a commit forgets may be forgotten already while it is under way.
Hor(g) == IF Flying(g) THEN act[g].flight.hor ELSE act[g].hor
InTime(g, age, hor) == Own(g) - Reach(age) >= hor

(* One that is there already answers its repeats too. *)
Come(i, age, g) ==
    /\ act[g].alive
    /\ box' = IF (\E b \in box : b.g = g /\ b.id = i) \/ Request(i) \in Items(g) THEN box
              ELSE box \cup {[id |-> i, arr |-> now, g |-> g, age |-> age, looked |-> FALSE,
                              ok |-> InTime(g, age, Hor(g))]}
    /\ UNCHANGED <<now, store, act, air, landed, first, count, messages, nudged, erased, watch, wronged,
                   early>>
Arrive(m, g) == /\ now - m.at <= Delay /\ socket' = socket \ {m}
                /\ Come(m.id, IF m.said = Unknown THEN W ELSE m.said, g)

Lose(m) == /\ socket' = socket \ {m}
           /\ UNCHANGED <<now, store, act, air, landed, box, first, count, messages, nudged, erased, watch,
                          wronged, early>>

(* ---- placement and activations *)

Asked == Ids # {} \/ nudged
Ordered(rows) == {r \in rows : r.k > 0}
\* Placement, head row and whether there is mail are read in one snapshot.
Begin(g, own) ==
            act' = [act EXCEPT ![g] = [Asleep EXCEPT !.alive = TRUE, !.off = own - now,
                                           !.start = IF Ok("life") THEN 0 ELSE now,
                                           !.known = head.n, !.hor = head.hor,
                                           !.dirty = Ordered(inbox) # {}]]
Place ==
    /\ gen < MaxGen /\ ~placed /\ gen' = gen + 1 /\ placed' = TRUE
    /\ Asked /\ Begin(gen + 1, head.own)
    /\ UNCHANGED <<now, head, mem, inbox, air, landed, requests, count, messages, nudged, erased, watch,
                   wronged, early>>

(* After a commit that did not land: the same placement, everything read anew. What it had under way is
   settled before; if it cannot be, the placement is written anew (Void, Place). *)
Reload ==
    /\ gen > 0 /\ placed /\ ~act[gen].alive /\ (Ok("nosettle") => ~\E c \in air : c.g = gen)
    /\ Asked /\ Begin(gen, head.own)
    /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch, wronged, early>>

End(g) == /\ act' = [act EXCEPT ![g] = Asleep]
          /\ box' = {b \in box : b.g # g}
(* The process dies, or the lease ran out and the activation was dropped. What is under way may land. *)
Die(g) == /\ act[g].alive /\ g < MaxGen /\ End(g)
          /\ UNCHANGED <<now, store, air, landed, socket, first, count, messages, nudged, erased, watch,
                         wronged, early>>
(* Its node is failed, or lets go: the activation is not told. *)
Void == /\ gen > 0 /\ gen < MaxGen /\ placed /\ placed' = FALSE
        /\ UNCHANGED <<now, gen, head, mem, inbox, act, air, landed, requests, count, messages, nudged,
                       erased, watch, wronged, early>>
(* An orderly end: nothing is under way. The head row is left as it is. *)
Release(g) == /\ g = gen /\ placed /\ act[g].alive /\ ~Flying(g) /\ act[g].next = {} /\ act[g].gate = {}
              /\ g < MaxGen /\ placed' = FALSE /\ End(g)
              /\ UNCHANGED <<now, gen, head, mem, inbox, air, landed, socket, first, count, messages,
                             nudged, erased, watch, wronged, early>>

(* ---- turns of requests *)

Age(b) == b.age + (IF Ok("noraise") THEN now - b.arr ELSE 0)

(* The store is asked whether it remembers the id; then the first one's reply is the answer, and leaves at
   once: it is durable. *)
Found(b, there) ==
    /\ act[b.g].alive /\ ~b.looked
    /\ box' = (box \ {b}) \cup (IF there THEN {} ELSE {[b EXCEPT !.looked = TRUE]})
    /\ UNCHANGED <<now, store, act, air, landed, socket, first, count, messages, nudged, erased, watch,
                   wronged, early>>
Remembered(i) == \E e \in mem : e.id = i
Find(b) == Found(b, Remembered(b.id))

(* The number with which a reply may leave, if another rule than the design's does not let it go before. *)
Leaves(o, n) == IF ~Ok("nogate") \/ (o = "nothing" /\ ~Ok("quietearly")) \/ (o = "error" /\ ~Ok("errorearly"))
                THEN 0 ELSE n
AtGate(b, o, sees) ==
    IF Outcomes = {"write"} /\ Ok("nogate") /\ Ok("batchearly") THEN {}   \* nobody looks
    ELSE {[id |-> b.id, sees |-> sees, n |-> Leaves(o, sees)]}

IsNew(b) == \/ InTime(b.g, Age(b), IF Ok("oldhorizon") THEN Hor(b.g) ELSE act[b.g].hor)
            \/ ~Ok("life") /\ Age(b) + S <= now - act[b.g].start

Turn(b, o) ==
    LET g == b.g
        new == IsNew(b)
        after == act[g].known + (IF Flying(g) THEN 1 ELSE 0) + 1
    IN  /\ act[g].alive /\ b.looked /\ Cardinality(act[g].next) < MaxBatch
        /\ box' = box \ {b}
        /\ IF ~new
           THEN /\ wronged' = (wronged \/ b.ok \/ (b.age <= W /\ now - b.arr <= H))
                /\ UNCHANGED act
           ELSE /\ act' = IF o = "nothing"
                          THEN [act EXCEPT ![g].gate = @ \cup AtGate(b, o, Top(g))]
                          ELSE [act EXCEPT ![g].gate = @ \cup AtGate(b, o, after),
                                           ![g].next = @ \cup {Request(b.id)}]
                /\ UNCHANGED wronged
        /\ UNCHANGED <<now, store, air, landed, socket, first, count, messages, nudged, erased, watch, early>>

Erase(g) == /\ act[g].alive /\ erased < MaxErase /\ erased' = erased + 1
            /\ act' = [act EXCEPT ![g].next = @ \cup {Erasure}]
            /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, watch, wronged, early>>

(* ---- turns of messages: the inbox is read by pages, what is in hand runs in order *)

Is(r, q) == r.s = q.s /\ r.k = q.k /\ r.v = q.v
Has(rows, r) == \E q \in rows : Is(r, q)
InHand(g, r) == Has(act[g].hand, r) \/ Has(act[g].over, r) \/ Has({i \in Items(g) : IsMessage(i)}, r)
\* One of them has failed: the others wait for it.
HeldBack(g, s) == /\ Ok("order")
                  /\ \/ \E i \in Items(g) : i.kind = "failed" /\ i.s = s /\ i.k > 0
                     \/ Ok("readover") /\ \E i \in act[g].over : i.kind = "failed" /\ i.s = s /\ i.k > 0

(* `dirty`: there may be something. *)
Read(g) == /\ act[g].alive /\ act[g].dirty /\ ~act[g].read.on
           /\ act' = [act EXCEPT ![g].dirty = FALSE, ![g].read = [on |-> TRUE, rows |-> inbox]]
           /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch,
                          wronged, early>>
\* `waits`: the time after which a failed one comes again is not over for those of these senders.
Take(g, waits) ==
    LET rows == act[g].read.rows
        back(r) == r.tries > 0 /\ r.k > 0 /\ r.s \in waits /\ ~InHand(g, r)
        behind(r) == \E q \in rows : q.s = r.s /\ q.k > 0 /\ q.k <= r.k /\ back(q)
        takes == {r \in rows : /\ ~InHand(g, r)
                               /\ r.k > 0 => ~HeldBack(g, r.s) /\ (Ok("order") => ~behind(r))}
    IN  /\ act[g].alive /\ act[g].read.on
        /\ \A s \in waits : \E r \in rows : r.s = s /\ back(r)
        /\ act' = [act EXCEPT ![g].read = NoRead, ![g].over = {}, ![g].hand = @ \cup takes,
                              ![g].dirty = @ \/ waits # {}]
        /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch,
                       wronged, early>>

RunMessage(g, r, works) ==
    LET kind == IF works THEN "done" ELSE IF r.tries + 1 < MaxTries THEN "failed" ELSE "dead"
        back == IF kind = "failed" /\ r.k > 0 /\ Ok("order")
                THEN {q \in act[g].hand : q.s = r.s /\ q.k > 0} ELSE {r}
    IN  /\ act[g].alive /\ Cardinality(act[g].next) < MaxBatch
        /\ r.k > 0 => \A q \in act[g].hand : q.s = r.s /\ q.k > 0 => r.k <= q.k
        /\ act' = [act EXCEPT ![g].hand = @ \ back, ![g].dirty = @ \/ back # {r},
                              ![g].next = @ \cup {Message(kind, r)}]
        /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch, wronged,
                       early>>

(* ---- commits *)

\* Behind what the horizon must not move: the requests that wait, but for those that it has passed.
Follow(g) ==
    LET reach(x) == Own(g) - Reach(Age(x))
        needs == {reach(x) : x \in {y \in box : y.g = g /\ reach(y) >= act[g].hor}}
        to == IF Ok("early") THEN Own(g) - D ELSE Own(g)
    IN  Max(act[g].hor, IF Ok("nowait") /\ needs # {} THEN Min(to, SetMin(needs)) ELSE to)

(* The horizon follows some time, or not yet: what is remembered is forgotten by buckets. *)
CommitTo(g, hor) ==
    LET c == [g |-> g, n |-> act[g].known + 1, items |-> act[g].next, own |-> Own(g), hor |-> hor]
    IN  /\ act[g].alive /\ ~Flying(g)
        /\ act[g].next # {} \/ (Ids # {} /\ Own(g) # head.own)   \* other turns' commits move own time
        /\ air' = air \cup {c}
        /\ act' = [act EXCEPT ![g].flight = c, ![g].next = {}]
        /\ UNCHANGED <<now, store, landed, requests, count, messages, nudged, erased, watch, wronged, early>>
Commit(g, moves) == /\ moves => Follow(g) > act[g].hor
                    /\ CommitTo(g, IF moves THEN Follow(g) ELSE act[g].hor)

Match(i, r) == r.s = i.s /\ r.k = i.k /\ (Ok("noversion") => r.v = i.v)
Of(c, kinds) == {i \in c.items : i.kind \in kinds}
Fits(c) == /\ Ok("nofence") => placed /\ gen = c.g
           /\ Ok("nonumber") => head.n = c.n - 1
           /\ Ok("norow") => \A i \in c.items : IsMessage(i) => \E r \in inbox : Match(i, r)

Lands(c) ==
    LET ids == {i.id : i \in Of(c, {"request"})}
        kept == IF Erasure \in c.items /\ ~Ok("erase") THEN {} ELSE mem
        goes == IF Ok("twocommits") THEN {"done", "failed", "dead"} ELSE {"failed", "dead"}
    IN  /\ count' = [i \in Ids |-> IF i \in ids THEN count[i] + 1 ELSE count[i]]
        /\ head' = [n |-> c.n, g |-> c.g, own |-> c.own, hor |-> IF Ok("still") THEN c.hor ELSE 0]
        /\ mem' = {e \in kept \cup {[id |-> i, own |-> c.own] : i \in ids} : e.own >= c.hor}
        /\ inbox' = {r \in inbox : ~\E i \in Of(c, goes) : Match(i, r)}
                    \cup {[s |-> i.s, k |-> i.k, v |-> i.v, tries |-> i.tries + 1] : i \in Of(c, {"failed"})}
        /\ done' = done \cup {Triple(i) : i \in Of(c, {"done"})}
        /\ dead' = dead \cup {Triple(i) : i \in Of(c, {"dead"})}
        /\ twice' = (twice \/ \E i \in Of(c, {"done"}) : Triple(i) \in done \cup dead \cup replaced)
        /\ misordered' = (misordered \/ \E i \in Of(c, {"done"}) : i.k > 0 /\
                            \E r \in inbox : r.s = i.s /\ r.k > 0 /\ r.k < i.k /\ ~Has(Of(c, {"done", "dead"}), r))
        /\ landed' = [landed EXCEPT ![c.g] = c.n]
        /\ UNCHANGED <<sent, named, replaced>>

Land(c) == /\ air' = air \ {c}
           /\ IF Fits(c) THEN Lands(c) ELSE UNCHANGED <<count, head, mem, inbox, messages, landed>>
           /\ UNCHANGED <<now, gen, placed, act, requests, nudged, erased, watch, wronged, early>>
(* The store was full or away. *)
Refuse(c) == /\ c.g < MaxGen /\ air' = air \ {c}
             /\ UNCHANGED <<now, store, act, landed, requests, count, messages, nudged, erased, watch,
                            wronged, early>>

(* Its outcome is known: it landed, or the activation ends, memory included. *)
Learn(g) ==
    LET c == act[g].flight
        held == \E i \in c.items : i.kind = "failed"
        over == {i \in c.items : IsMessage(i)}
    IN
    /\ act[g].alive /\ Flying(g) /\ c \notin air
    /\ IF landed[g] = c.n
       THEN /\ act' = [act EXCEPT ![g].flight = None, ![g].known = c.n,
                                  ![g].hor = IF Ok("still") THEN c.hor ELSE 0,
                                  ![g].over = IF act[g].read.on THEN @ \cup over ELSE {},
                                  ![g].dirty = @ \/ held]
            /\ UNCHANGED box
       ELSE End(g)
    /\ UNCHANGED <<now, store, air, landed, socket, first, count, messages, nudged, erased, watch, wronged,
                   early>>

Reply(g, r) == /\ act[g].alive /\ r \in act[g].gate
               /\ r.n <= act[g].known + (IF ~Ok("batchearly") /\ act[g].known > 0 THEN 1 ELSE 0)
               /\ act' = [act EXCEPT ![g].gate = @ \ {r}]
               /\ early' = (early \/ (r.sees > landed[g] /\ r.sees > head.n))
               /\ UNCHANGED <<now, store, air, landed, requests, count, messages, nudged, erased, watch,
                              wronged>>

(* ---- messages: a send is a row of its sender's commit; the nudge that follows may be lost *)

Put(rows, heard) == /\ inbox' = rows /\ nudged' = (nudged \/ heard)
                    /\ UNCHANGED <<now, gen, placed, head, mem, act, air, landed, requests, count, done, dead,
                                   twice, misordered, erased, watch, wronged, early>>
SendMessage(s, heard) ==
    /\ sent[s] < MaxSent /\ sent' = [sent EXCEPT ![s] = @ + 1]
    /\ Put(inbox \cup {[s |-> s, k |-> sent'[s], v |-> 1, tries |-> 0]}, heard)
    /\ UNCHANGED <<named, replaced>>
NamedRows(s) == {r \in inbox : r.s = s /\ r.k = 0}
SendNamed(s, heard) ==
    /\ named[s] < MaxNamed /\ named' = [named EXCEPT ![s] = @ + 1]
    /\ Put((inbox \ NamedRows(s)) \cup {[s |-> s, k |-> 0, v |-> named'[s], tries |-> 0]}, heard)
    /\ replaced' = replaced \cup {Triple(r) : r \in NamedRows(s)}
    /\ UNCHANGED sent
Withdraw(s) ==
    /\ NamedRows(s) # {} /\ Put(inbox \ NamedRows(s), FALSE)
    /\ replaced' = replaced \cup {Triple(r) : r \in NamedRows(s)}
    /\ UNCHANGED <<sent, named>>

(* A nudge, of the sender's node or of the shard's; where the actor is not, it is placed. *)
Nudge == /\ Ok("nonudge") /\ inbox # {} /\ ~nudged /\ nudged' = TRUE
         /\ UNCHANGED <<now, store, act, air, landed, requests, count, messages, erased, watch, wronged, early>>
Hear == /\ nudged /\ placed /\ act[gen].alive /\ nudged' = FALSE
        /\ act' = [act EXCEPT ![gen].dirty = TRUE]
        /\ UNCHANGED <<now, store, air, landed, requests, count, messages, erased, watch, wronged, early>>
(* The mistake: the row goes in a commit of its own, some time after the one with its effects. *)
Tidy(r) == /\ ~Ok("twocommits") /\ Triple(r) \in done /\ inbox' = inbox \ {r}
           /\ UNCHANGED <<now, gen, placed, head, mem, act, air, landed, requests, count, messages, nudged,
                          erased, watch, wronged, early>>

(* ---- sweeps of what a passive actor remembers *)

Look == /\ Sweeps /\ ~placed /\ gen > 0
        /\ watch' = [since |-> now, gen |-> gen, n |-> head.n] /\ watch # watch'
        /\ UNCHANGED <<now, store, act, air, landed, requests, count, messages, nudged, erased, wronged, early>>
SweepWaits == IF Ok("nosweepwait") THEN IF Ok("sweepexact") THEN D + 1 ELSE D ELSE 0
Seen == ~placed /\ watch.since >= 0 /\ watch.gen = gen /\ watch.n = head.n /\ now - watch.since >= SweepWaits
Swept == UNCHANGED <<now, gen, placed, inbox, act, air, landed, requests, count, messages, nudged, erased,
                     wronged, early>>
\* An actor without state: all its rows go, and it is as new, but for its generation.
Strike == /\ Seen /\ head' = [n |-> 0, g |-> 0, own |-> FreshOwn, hor |-> 0] /\ mem' = {}
          /\ watch' = NoWatch /\ Swept
(* Of another one what is remembered before `to` goes. What the sweeper waited since the last of it is own time
   that nobody counted.
   The number grows by two: no commit can take this one for its own. *)
Forget(to, waited) ==
    /\ Seen /\ head.g > 0 /\ head.hor <= to /\ to <= head.own + 1
    /\ head' = [n |-> head.n + 2, g |-> IF to > head.own THEN 0 ELSE head.g,
                own |-> Max(head.own, IF Ok("sweepedge") THEN to - 1 + waited ELSE to + waited),
                hor |-> to]
    /\ mem' = {e \in mem : e.own >= to}
    /\ watch' = [watch EXCEPT !.n = head.n + 2] /\ Swept
Sweep == Strike \/ Forget(head.own + 1, now - watch.since)

Other == \/ Tick \/ Place \/ Reload \/ Void \/ Look \/ Sweep \/ Nudge \/ Hear
         \/ \E i \in Ids, aged \in BOOLEAN : Send(i, aged)
         \/ \E m \in socket : Lose(m) \/ \E g \in Gens : Arrive(m, g)
         \/ \E b \in box : Find(b) \/ \E o \in Outcomes : Turn(b, o)
         \/ \E s \in Senders : Withdraw(s) \/ \E heard \in BOOLEAN : SendMessage(s, heard) \/ SendNamed(s, heard)
         \/ \E r \in inbox : Tidy(r)
         \/ \E c \in air : Land(c) \/ Refuse(c)
Acts == \E g \in Gens : \/ Die(g) \/ Release(g) \/ Erase(g) \/ Learn(g) \/ Read(g)
                        \/ \E moves \in BOOLEAN : Commit(g, moves)
                        \/ \E r \in act[g].gate : Reply(g, r)
                        \/ \E waits \in SUBSET Senders : Take(g, waits)
                        \/ \E r \in act[g].hand, works \in BOOLEAN : RunMessage(g, r, works)
Step == Other \/ Acts
Spec == Init /\ [][Step]_vars
\* Sweeps alone: one request was applied at the beginning, and then its actor was let go.
SweptInit == \E i \in Ids :
    /\ now = 0 /\ gen = 1 /\ placed = FALSE
    /\ head = [n |-> 1, g |-> 1, own |-> FreshOwn, hor |-> 0] /\ mem = {[id |-> i, own |-> FreshOwn]}
    /\ first = [j \in Ids |-> IF j = i THEN 0 ELSE -1] /\ count = [j \in Ids |-> IF j = i THEN 1 ELSE 0]
    /\ landed = [g \in Gens |-> IF g = 1 THEN 1 ELSE 0]
    /\ act = [g \in Gens |-> Asleep] /\ air = {} /\ inbox = {} /\ socket = {} /\ box = {}
    /\ sent = [s \in Senders |-> 0] /\ named = [s \in Senders |-> 0]
    /\ done = {} /\ dead = {} /\ replaced = {}
    /\ nudged = FALSE /\ erased = 0 /\ watch = NoWatch
    /\ wronged = FALSE /\ early = FALSE /\ twice = FALSE /\ misordered = FALSE
SweptSpec == SweptInit /\ [][Step]_vars

(* What must come about when faults stop: the last generation's process does not die. *)
Fair == /\ WF_vars(Place) /\ WF_vars(Reload) /\ WF_vars(Nudge) /\ WF_vars(Hear)
        /\ \A g \in Gens : /\ WF_vars(\E r \in act[g].hand, works \in BOOLEAN : RunMessage(g, r, works))
                           /\ WF_vars(Read(g)) /\ SF_vars(Take(g, {}))   \* no time lasts for ever
                           /\ WF_vars(\E waits \in SUBSET Senders : Take(g, waits))
                           /\ WF_vars(\E moves \in BOOLEAN : Commit(g, moves)) /\ WF_vars(Learn(g))
        /\ WF_vars(\E c \in air : Land(c))
LiveSpec == Spec /\ Fair

(* ---- what must hold *)

AppliedOnce == \A i \in Ids : count[i] <= 1
\* Who keeps to the window and is not held beyond H is not refused; nor is who was in time on arrival.
NobodyWronged == ~wronged
\* What a reply tells of is durable when it leaves.
NothingLeavesEarly == ~early
\* No message is applied twice, nor one that was replaced or withdrawn.
MessageOnce == ~twice
OrderKept == ~misordered
\* Every message lies in the inbox, was applied, or is dead; one with a name may have been replaced.
NothingDueIsLost ==
    \A s \in Senders :
        \A m \in {[s |-> s, k |-> k, v |-> 1] : k \in 1..sent[s]}
                 \cup {[s |-> s, k |-> 0, v |-> v] : v \in 1..named[s]} :
            Has(inbox, m) \/ m \in done \cup dead \cup replaced
\* A commit forgets only what lies before the horizon, an erasing one too.
EraseForgetsNothingYoung ==
    [][watch' # watch \/ \A e \in mem : e \in mem' \/ e.own < head'.hor]_vars
\* A process that dies for ever applies nothing.
FaultsStop == <>[][\A g \in Gens : ~Die(g)]_vars
DueIsApplied == FaultsStop => <>[](inbox = {})
=============================================================================

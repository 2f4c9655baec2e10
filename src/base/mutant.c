#include "base/mutant.h"

#include <string.h>

/* The first six are the broken variants of the specification (spec/broken-*.cfg). What a mutant
 * breaks is what the simulator finds most often, not all it could. */
const struct mutant_info mutant_table[] = {
    {"untimely", "a failure is declared before the lease has run out", "NoSplitBrain", NULL},
    {"noquorum", "an election does not count a majority", "GrantedByMajority", NULL},
    {"noack", "a node becomes Left before everyone acknowledged a view without it",
     "LeaveDetectionWeak", NULL},
    {"nofence", "a commit does not check the placement", "NoStaleWrite", NULL},
    {"takeback", "a source takes the actor back while its hand-over may still land",
     "SingleActivation", NULL},
    {"twin", "one's own past life is declared failed without waiting for silence",
     "SingleActivation, NoSplitBrain", NULL},
    /* lease and window */
    {"answertime", "the lease runs from the answer's arrival, not from the sending",
     "NoSplitBrain, SingleActivation", NULL},
    {"lastattempt", "the lease runs from the last attempt, not from the first",
     "NoSplitBrain, SingleActivation", NULL},
    {"lapse", "a node whose lease ran out goes on", "RepliesInOrder", NULL},
    {"lapsed", "a heartbeat that was answered after the lease ran out brings it back as it was",
     "ResumesWithStoredView", NULL},
    {"oldview", "a node resumes without the view that its reviving heartbeat read",
     "ResumesWithStoredView", NULL},
    {"keepclaim", "the claim to be primary survives the lapse of the lease", "NoSplitBrain",
     "whoever is elected in its place fails it in the same commit, so a node that resumes still is the stored primary of that term"},
    {"onewindow", "the window does not begin anew when the heartbeat moves",
     "NoSplitBrain, SingleActivation", NULL},
    {"outage", "a window runs through a store outage", "WindowIsCovered", NULL},
    {"deadbeat", "the heartbeat of a node that was declared failed is accepted", "JoinAtomicity",
     NULL},
    /* failing and coming back */
    {"moved", "MarkNodeFailed does not compare the heartbeat with the one that was seen",
     "NoSplitBrain", NULL},
    {"snapshot", "MarkNodeFailed reads the failed node's heartbeat as a snapshot",
     "SingleActivation", NULL},
    {"anyboot", "DeclareDead fails the node, whatever its boot id", "NoSplitBrain", NULL},
    {"norewrite", "DeclareDead does not rewrite the row, and a join in flight lands after it",
     "EventualMembershipConvergence",
     "a join that lands after it is a past life, which its successor fails after a window: later, not wrongly"},
    {"inview", "a failed node stays in the view", "ViewIsActive", NULL},
    {"goneview", "failing a node does not note the view it is gone from", "LeaveDetectionWeak",
     NULL},
    {"unacked", "NodeRecover does not wait for acknowledgements", "LeaveDetectionWeak", NULL},
    {"waitdead", "a dead node's acknowledgement is waited for", "EventualMembershipConvergence",
     NULL},
    {"excuse", "who was silent for the window stays excused when its heartbeat moves",
     "LeaveDetectionWeak", NULL},
    {"noexcuse", "who is silent for the window is not excused from acknowledging",
     "EventualMembershipConvergence", NULL},
    {"halfforget", "a forced forget is said to be done when the node is merely failed",
     "OrdersAreTrue", NULL},
    /* joining and leaving */
    {"pastlife", "a join takes no notice of a past life of its id", "NodeTransitions", NULL},
    {"incarnation", "a join uses the incarnation again", "Growth", NULL},
    {"coldstart", "a node completes its join only where somebody is Active",
     "EventualMembershipConvergence", NULL},
    {"nodeadall", "nobody fails the dead members of a cluster in which all are dead",
     "EventualMembershipConvergence", NULL},
    {"nofloor", "a join begins below the floor of incarnations", "Growth", NULL},
    {"floorstays", "the sweep of a node's row does not raise the floor", "Growth", NULL},
    {"sweepplaced", "the row of a node is swept while a placement names it", "ByNodeIsPlacement",
     NULL},
    {"unasked", "a join is completed without a direct answer", "EventualMembershipConvergence",
     NULL},
    {"leaveclaim", "a primary that leaves keeps its claim until the answer", "NoSplitBrain", NULL},
    {"leaveplaced", "a node becomes Left though actors are placed on it", "SingleActivation",
     "it is tried only after the store listed no placement, and nobody places on a node that leaves"},
    {"drain", "placements that have no activation are not handed over",
     "EventualMembershipConvergence", NULL},
    /* grey failures */
    {"greyquorum", "a node is flagged when one other cannot reach it", "GreyIsUnreachable", NULL},
    {"greyhasty", "a peer that missed one ping is called unreachable", "GreyIsUnreachable", NULL},
    {"greyfirst", "a heartbeat that is seen for the first time counts as one that moves",
     "GreyIsUnreachable", NULL},
    {"greyseveral", "a node is flagged while another one is on its way out", "OneGreyAtATime",
     NULL},
    {"greyhalf", "a node is flagged though half of the voters or fewer stay active",
     "GreyLeavesMajority", NULL},
    {"greybeat", "a heartbeat ignores the flag", "FlaggedIsSilent", NULL},
    {"greynever", "no node is ever flagged", "GreyIsOut", NULL},
    {"greyrejoin", "a join after a flag is completed with one direct answer", "GreyReturnsReached",
     NULL},
    {"greyforgotten", "a join forgets that its node was flagged", "GreyReturnsReached", NULL},
    /* views */
    {"viewnumber", "the number of the view does not grow", "Growth", NULL},
    {"viewhash", "the hash of the view does not lose a member", "ViewIsActive", NULL},
    {"viewchange", "the row of a view change is not written", "none",
     "a node that misses a change reads all node rows"},
    {"earlyack", "a view is acknowledged before it is held", "LeaveDetectionWeak", NULL},
    {"notgone", "a node that is not in the new view takes it all the same", "JoinAtomicity", NULL},
    {"watchonly", "a watch is trusted: the view is not polled", "EventualMembershipConvergence",
     NULL},
    /* primary */
    {"countview", "an election counts the members of the view, not all voters", "GrantedByMajority",
     NULL},
    {"half", "half of the voters elect", "GrantedByMajority", NULL},
    {"oldanswer", "an election counts answers of any age", "GrantedByMajority", NULL},
    {"usurp", "an election does not look whether the old primary still is silent", "NoSplitBrain",
     NULL},
    {"sameterm", "an election takes the term of the one before", "Growth", NULL},
    {"lateclaim", "an election that was won counts though the lease ran out", "NoSplitBrain",
     "it acts only once its lease runs again, and then is the stored primary of that term still, or was failed by whoever took its place"},
    {"unclaimed", "a node that is stored as primary and claims nothing is not elected again",
     "EventualMembershipConvergence", NULL},
    {"nostepdown", "a primary that reaches no majority stays", "PrimaryReachesMajority", NULL},
    /* placements */
    {"bynode", "the by-node row is not written", "ByNodeIsPlacement", NULL},
    {"bynodeold", "the by-node row stays where the actor was", "ByNodeIsPlacement", NULL},
    {"bynodeinc", "the by-node row does not name the incarnation", "ByNodeIsPlacement", NULL},
    {"generation", "a new placement takes the generation of the one before", "Growth", NULL},
    {"movesame", "a hand-over takes the generation of the one before", "Growth", NULL},
    {"abortsame", "AbortMigration takes the generation of the one before", "none",
     "the row is written all the same: whatever read it before, a hand-over, a release or a commit, conflicts"},
    {"deleterow", "a release deletes the placement row", "Growth", NULL},
    {"steal", "an actor is placed though its node hosts it", "SingleActivation", NULL},
    {"anytarget", "an actor is placed on a node that is not Active", "PlacedOnActive", NULL},
    {"hostname", "a placement counts as hosted by any life of its node", "EveryActorAnswers", NULL},
    {"onname", "a later life of a node takes the placements of the one before", "SingleActivation",
     NULL},
    {"releaseany", "a release does not check whose the placement is", "SingleActivation", NULL},
    {"loadany", "an actor is loaded where it is not placed", "SingleActivation", NULL},
    {"fencenode", "a commit checks the node, not the generation", "NoStaleWrite",
     "a node has one activation of an actor, and loads it again only after AbortMigration wrote the row that whatever may still land has read"},
    {"fencesnap", "a commit reads the placement as a snapshot", "NoStaleWrite", NULL},
    {"sweepliving", "the sweep voids placements of a node that lives", "SingleActivation", NULL},
    {"sweepforgets", "the sweep deletes by-node rows and leaves the placements",
     "ByNodeIsPlacement", NULL},
    /* actors */
    {"nodedupe", "a request id that was applied is applied again", "AppliedOnce", NULL},
    {"dedupenode", "a request id is known only to the node that applied it", "AppliedOnce", NULL},
    {"early", "the caller is answered before the commit is settled", "AcknowledgedIsDurable", NULL},
    {"norollback", "an activation goes on though its commit did not land", "Linearizable", NULL},
    {"nonumber", "a commit does not compare its number, and is made again", "AppliedOnce", NULL},
    {"nosums", "what was loaded is not compared with the head row", "RepliesInOrder", NULL},
    {"lostplacement", "a head row of a later generation than the placement is taken",
     "RepliesInOrder", NULL},
    {"unchangedearly", "a turn that changed nothing is answered before what it has seen has landed",
     "Linearizable", NULL},
    {"batchearly", "turns are answered when their commit is sent", "AcknowledgedIsDurable", NULL},
    {"nofingerprint", "a remembered reply goes to whatever request has its id", "RepliesInOrder",
     NULL},
    {"mailboxage", "a request's age is not raised in the mailbox", "AppliedOnce", NULL},
    {"callage", "a request's age is not raised by the caller's node", "AppliedOnce", NULL},
    {"connectionage", "a request's age is not raised by the connection", "AppliedOnce", NULL},
    {"longwindow", "a window that was made longer holds at once", "AppliedOnce", NULL},
    {"lifeisnew", "an age within the activation's life says that a request is new", "AppliedOnce",
     NULL},
    {"earlybucket", "a bucket is forgotten early", "NobodyIsWronged", NULL},
    {"stillhorizon", "the horizon stays when a bucket is forgotten", "AppliedOnce", NULL},
    {"nohorizonwait", "the horizon does not wait for the mailbox", "NobodyIsWronged", NULL},
    {"overrun", "a callback of an actor begins however little is left of the lease", "LeaseIsKept",
     "seeds draw no run in which callbacks are slow and nothing else is wrong; tests/sim/test_turns.sh has them"},
    {"keepfailed", "what a message wrote stays in memory though its handler failed", "Linearizable",
     NULL},
    {"dropactivate", "what activate wrote is taken back with the first message that fails",
     "StateIsWhole", NULL},
    {"undeleted", "a key that an actor deleted stays in the store", "StateIsWhole, RepliesInOrder",
     NULL},
    {"lastdecides",
     "the last attempt of a call decides, though an earlier one may have been applied",
     "AppliedIsTrue", NULL},
    {"copytaken", "a request that the network delivers twice is taken twice", "AppliedIsTrue",
     NULL},
    {"fullrepeat", "a full mailbox refuses a repeat whose first is in it", "AppliedIsTrue",
     "a node repeats what had no answer, and from then on no refusal decides: the caller waits "
     "longer, and is told nothing untrue"},
    {"followerno", "a repeat that gives its place up is told that it was not applied",
     "AppliedIsTrue", "as with fullrepeat"},
    {"slowlapse", "the lease is not looked at when a handler has returned", "Linearizable",
     "what it wrote is fenced, and what it read was true when the request came, while the lease ran"},
    {"dropmail", "waiting messages are dropped when an activation ends", "NothingKept", NULL},
    {"nolease", "a message is handed to the actor without a look at the lease", "Linearizable",
     NULL},
    {"keepactors", "activations survive the lapse of the lease", "SingleActivation", NULL},
    /* a restored store */
    {"sameepoch", "a process that lived before the store was restored takes part again",
     "NoOldLifeRevives", NULL},
    {"epochplaces", "a new epoch leaves placements as the backup had them", "ByNodeIsPlacement",
     NULL},
    /* who is believed */
    {"answerbyid", "an answer is taken from anybody who knows the id of the call",
     "StrangersAreNobody", NULL},
    {"dialmessage", "what a message says of its sender is dialled", "DialsRowsOnly", NULL},
    {"adminstranger", "a command is taken from anybody", "StrangersAreNobody", NULL},
    {"zeroid", "a zero id matches any", "StrangersAreNobody", NULL},
    /* transactions and the store */
    {"nochecksum", "a record is read though its checksum is wrong", "RepliesInOrder, Growth", NULL},
    {"unknownfailed", "a commit whose result is unknown is reported as failed", "Linearizable",
     NULL},
    {"unknowndone", "a commit whose result is unknown is reported as done", "AcknowledgedIsDurable",
     NULL},
    {"cancelled", "a commit that was given up while under way is reported as not done",
     "SingleActivation", NULL},
    {"novalidate", "the store core commits without looking for conflicts", "ViewIsActive", NULL},
    {"coreranges", "the store core finds no conflicts in ranges", "GrantedByMajority", NULL},
    {"corelimited", "the store core finds no conflicts in a range that a limit cut", "none",
     "no rule commits by what a limit left out: a row that is there refuses, or is read by itself"},
    /* the driver for FoundationDB */
    {"fdbunknown", "the driver takes what may be committed for surely not committed",
     "Growth, SingleActivation", NULL},
    {"fdbsnapshot", "the driver reads keys without a conflict", "Growth", NULL},
    {"fdbmore", "the driver takes the first batch of a range for all of it", "StateIsWhole", NULL},
    {"fdbkept", "the driver does not give back a transaction that was read and not committed",
     "NothingKept", NULL},
    {NULL, NULL, NULL, NULL},
};

#ifdef KELPIE_MUTANTS

static const char *selected;

bool mutant_is_on(const char *name)
{
    return selected && strcmp(selected, name) == 0;
}

bool mutant_select(const char *name)
{
    selected = NULL;
    if (!name || !*name)
        return true;
    for (const struct mutant_info *m = mutant_table; m->name; m++) {
        if (strcmp(m->name, name) == 0) {
            selected = m->name;
            return true;
        }
    }
    return false;
}

#endif

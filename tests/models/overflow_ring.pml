/* The ring whose producer never waits (shm/overflow_ring.hpp, engine/overflow.cpp): both sides take frames from the
 * front, the consumer to have them, the producer to drop them, and the claim word says who has which.
 *
 * The producer offers numbered frames. It puts each, and displaces what waits beyond KEEP frames then: KEEP is the
 * queue's limit with drop_oldest, 1 with latest. With REFUSES it displaces nothing, and refuses a frame that finds KEEP
 * waiting: drop_newest. The last frame may end the stream; it is put in any case. The producer may rest, the consumer
 * may leave, and either may be killed between any two steps, of which the other is told some time later.
 *
 * Each load, store and compare and exchange is a step of its own, but for loads of what nobody else writes. What an
 * exchange stores waits in the buffer as other stores do, only that no other exchange comes before it is in memory. A
 * frame's payload is two words; a note, of how many frames are missing, is one. Checked: each frame that was offered
 * is delivered once, whole and in order, or told of once, by the next frame's note or the last one; no slot and no note
 * is written while the consumer may be copying it; a frame is refused only where the policy says so, or where the
 * consumer has claimed a frame and has not copied it yet; nobody sleeps for ever; no ring is taken for broken. When
 * both are gone the accounts are exact, whoever was killed: what was put, taken, displaced, and what is left, whole;
 * and each frame's share was given back once, but for those that a killed process had, or that waited for a killed
 * consumer.
 *
 * The bell is as short as can be: tests/models/ring_parking.pml is about it. The claim word counts what was displaced
 * modulo 2; that is enough, as the figure beside it is one behind at most.
 *
 * Runs, as tests/models/run reads them:
 * check -DSLOTS=4 -DKEEP=1 -DFRAMES=5
 * check -DSLOTS=5 -DKEEP=2 -DFRAMES=6
 * check -DSLOTS=4 -DKEEP=1 -DFRAMES=5 -DREFUSES
 * check -DSLOTS=4 -DKEEP=1 -DFRAMES=4 -DDEATH
 * check -DSLOTS=4 -DKEEP=1 -DFRAMES=4 -DDEATH -DREFUSES
 * weaken displaced_figure_is_believed -DDEATH
 * weaken no_slot_for_the_end -DSLOTS=4 -DKEEP=1 -DFRAMES=5
 */
#ifndef SLOTS
#define SLOTS 4
#define KEEP 1
#define FRAMES 4
#endif

#define FIRST_WORD(pos) ((pos) % SLOTS)
#define SECOND_WORD(pos) (SLOTS + (pos) % SLOTS)
#define STAMP(pos) (2 * SLOTS + (pos) % SLOTS)
#define OWN_NOTE(pos) (3 * SLOTS + (pos) % SLOTS)
#ifdef WEAKEN_notes_share_a_place
#define DISPLACED_NOTE(pos) OWN_NOTE(pos)
#else
#define DISPLACED_NOTE(pos) (4 * SLOTS + (pos) % SLOTS)
#endif
#define CLAIM (5 * SLOTS)
#define HEAD (5 * SLOTS + 1)
#define CLOSED_AT (5 * SLOTS + 2) /* one more than the position; 0 while the ring is open */
#define DISPLACED (5 * SLOTS + 3)
#define PLACES (5 * SLOTS + 4)
#define BUFFERS 2
#define PENDING 3
#include "memory.pml"

#define PRODUCER 0
#define CONSUMER 1

/* A place as the process sees it that may have stores to it pending. */
#define seen_by(me, where) (is_pending_at(me, 2, where) -> buffer[me].value[2] : \
                            (is_pending_at(me, 1, where) -> buffer[me].value[1] : \
                             (is_pending_at(me, 0, where) -> buffer[me].value[0] : mem[where])))

/* Claim: position of the front | how many were displaced | whether the one before the front was */
#define position(claim) ((claim) & 15)
#define displacements(claim) (((claim) >> 4) & 1)
#define follows_displaced(claim) (((claim) & 32) != 0)
#ifdef WEAKEN_flag_stays_when_taken
#define when_taken(claim) ((claim) + 1)
#else
#define when_taken(claim) (((claim) + 1) & 31)
#endif
#define when_displaced(claim) ((((claim) + 1) ^ 16) | 32)
#define may_exchange(me) (!is_pending(PRODUCER, CLAIM) && !is_pending(CONSUMER, CLAIM) && buffer[me].pending < PENDING)

bool parked; /* the consumer sleeps, or is about to */
bool stop, resting;
bool dead[2], over[2];

/* As the programs say. Whose shares are, and which were given back: a bit a position. */
byte offered, refused, stamped, taken, displaced;
byte having[2], back;
byte copied; /* one more than the position of the frame that the consumer may be copying; 0: none */
bool copies_displaced_note;
#define bit_of(pos) (1 << (pos))

inline own(me, pos) {
  assert(!((having[PRODUCER] | having[CONSUMER] | back) & bit_of(pos)));
  having[me] = having[me] | bit_of(pos)
}
inline give_back(me, pos) {
  assert(!(back & bit_of(pos)));
  having[me] = having[me] & ~bit_of(pos);
  back = back | bit_of(pos)
}

/* --- The producer: OverflowWriter, OverflowOutlet */

#define is_copied(pos) (copied != 0 && (copied - 1) % SLOTS == (pos) % SLOTS)
inline write(where, what, pos) { atomic { store(PRODUCER, where, what, RELAXED); assert(!is_copied(pos)) } }

/* SYNC ring.release (acquire) */
#define is_free(at) ((at) < SLOTS || seen_by(PRODUCER, STAMP(at)) == 0 || mem[HEAD] + SLOTS > (at))

/* For this frame, for one that ends the stream, and for the last note, which lies beside the slot after that. */
inline find_room() {
  atomic {
#ifdef WEAKEN_no_slot_for_the_end
    room = is_free(pos);
#else
#ifdef WEAKEN_no_slot_for_the_last_note
    room = is_free(pos) && is_free(pos + 1);
#else
    room = is_free(pos) && is_free(pos + 1) && is_free(pos + 2);
#endif
#endif
#ifdef REFUSES
    assert(room || pos - position(mem[CLAIM]) >= KEEP || is_pending(CONSUMER, HEAD))
  }
  room = room && pos - position(mem[CLAIM]) < KEEP
#else
    assert(room || copied != 0 || is_pending(CONSUMER, HEAD))
  }
#endif
}

inline put() {
  write(OWN_NOTE(pos), missing, pos);
  write(FIRST_WORD(pos), offered, pos);
  write(SECOND_WORD(pos), offered, pos);
  atomic {
#ifdef WEAKEN_stamp_is_relaxed
    store(PRODUCER, STAMP(pos), pos + 1, RELAXED);
#else
    store(PRODUCER, STAMP(pos), pos + 1, RELEASE); /* SYNC ring.publish (release) */
#endif
    pos++;
    stamped = pos;
    missing = 0;
    room = false
  }
}

inline prepare_note() {
  atomic {
    store(PRODUCER, DISPLACED_NOTE(position(claim) + 1), note, RELAXED);
    assert(!is_copied(position(claim) + 1) || !copies_displaced_note);
    note = 0
  }
}

inline displace() {
  do
  :: atomic {
       pos - position(seen_by(PRODUCER, CLAIM)) > KEEP ->
       claim = seen_by(PRODUCER, CLAIM); /* SYNC overflow.claim (acquire) */
       note = 1 + seen_by(PRODUCER, OWN_NOTE(position(claim) + 1));
       if
       :: follows_displaced(claim) -> note = note + seen_by(PRODUCER, DISPLACED_NOTE(position(claim)))
       :: else -> note = note + seen_by(PRODUCER, OWN_NOTE(position(claim)))
       fi
     }
#ifndef WEAKEN_note_follows_the_claim
     prepare_note();
#endif
#ifdef WEAKEN_stamp_is_cleared_before_the_claim
     store(PRODUCER, STAMP(position(claim)), 0, RELAXED);
#endif
#ifdef WEAKEN_dropped_before_the_claim
     give_back(PRODUCER, position(claim));
#endif
     atomic { /* compare and exchange */
       may_exchange(PRODUCER) ->
       if
#ifdef WEAKEN_displaced_without_comparing
       :: true ->
#else
       :: mem[CLAIM] == claim ->
#endif
#ifdef WEAKEN_claim_is_relaxed
          store(PRODUCER, CLAIM, when_displaced(claim), RELAXED);
#else
          store(PRODUCER, CLAIM, when_displaced(claim), RELEASE); /* SYNC overflow.claim (release) */
#endif
          own(PRODUCER, position(claim));
          displaced++;
          won = true
       :: else -> claim = 0
       fi
     }
     if
     :: won ->
#ifdef WEAKEN_note_follows_the_claim
        prepare_note();
#endif
#ifndef WEAKEN_displaced_stamp_stays
        store(PRODUCER, STAMP(position(claim)), 0, RELAXED);
#endif
        store(PRODUCER, DISPLACED, displaced, RELAXED);
        atomic { give_back(PRODUCER, position(claim)); claim = 0; won = false }
     :: else
     fi
  :: pos - position(seen_by(PRODUCER, CLAIM)) <= KEEP -> break
  od
}

proctype Producer() {
  byte pos, missing, claim, note;
  bool room, won, ends;
  {
    do
    :: break /* with an end of stream or, where it is stopped or fails, without */
#ifndef DEATH
    :: !ends && offered < FRAMES -> resting = true; stop; break /* it has nothing to put, for as long as this takes */
#endif
    :: !ends && offered < FRAMES && !stop && !over[CONSUMER] ->
       if
       :: atomic { ends = true; room = true }
       :: find_room()
       fi;
       if
       :: atomic { room -> offered++ }
          put();
#ifdef WEAKEN_rings_before_it_displaces
          parked = false;
#endif
#ifndef REFUSES
          if
          :: !ends -> displace()
          :: ends
          fi;
#endif
#ifndef WEAKEN_rings_before_it_displaces
          parked = false
#endif
       :: atomic { !room -> offered++; refused++; missing++ }
       fi
    od;
#ifdef WEAKEN_no_slot_for_the_end
    store(PRODUCER, OWN_NOTE(pos), missing, RELAXED); /* not what it is about */
#else
    write(OWN_NOTE(pos), missing, pos);
#endif
#ifdef WEAKEN_close_is_relaxed
    store(PRODUCER, CLOSED_AT, pos + 1, RELAXED);
#else
    store(PRODUCER, CLOSED_AT, pos + 1, RELEASE); /* SYNC ring.close (release) */
#endif
#ifndef WEAKEN_close_without_ringing
    parked = false;
#endif
    atomic { over[PRODUCER] = true; pos = 0; missing = 0; ends = false }
  } unless {
    atomic {
      dead[PRODUCER] -> pos = 0; missing = 0; claim = 0; note = 0; room = false; won = false; ends = false
    }
  }
}

/* --- The consumer: OverflowReader, OverflowInlet */

#define is_readable(pos) (mem[STAMP(pos)] == (pos) + 1) /* SYNC ring.publish (acquire) */

/* It was not readable: it may have been displaced meanwhile. */
inline look_again() {
  atomic {
    if
    :: seen_by(CONSUMER, CLAIM) == claim -> break
    :: else -> claim = seen_by(CONSUMER, CLAIM) /* SYNC overflow.claim (acquire) */
    fi
  }
}

inline has_any() {
  do
  :: is_readable(position(claim)) -> found = true; break
  :: !is_readable(position(claim)) -> look_again()
  od
}

inline claim_front() {
  do
#ifdef WEAKEN_stamp_is_not_looked_at
  :: position(claim) < FRAMES ->
#else
  :: is_readable(position(claim)) ->
#endif
     atomic { /* compare and exchange */
       may_exchange(CONSUMER) ->
       if
#ifdef WEAKEN_taken_without_comparing
       :: true ->
#else
       :: mem[CLAIM] == claim ->
#endif
          store(CONSUMER, CLAIM, when_taken(claim), RELAXED);
          own(CONSUMER, position(claim));
          taken++;
          copied = position(claim) + 1;
          copies_displaced_note = follows_displaced(claim);
          found = true;
          break
       :: else -> claim = mem[CLAIM] /* SYNC overflow.claim (acquire) */
       fi
     }
  :: !is_readable(position(claim)) -> look_again()
  od
}

inline copy() {
#ifdef WEAKEN_released_before_it_is_copied
  store(CONSUMER, HEAD, position(claim) + 1, RELEASE);
#endif
  atomic { first = mem[FIRST_WORD(position(claim))]; found = false }
  assert(mem[SECOND_WORD(position(claim))] == first);
  atomic {
    if
#ifndef WEAKEN_displaced_note_is_ignored
    :: follows_displaced(claim) -> told = told + mem[DISPLACED_NOTE(position(claim))]
#endif
    :: else -> told = told + mem[OWN_NOTE(position(claim))]
    fi;
    told++;
    assert(first == told);
    first = 0
  }
  atomic {
#ifndef WEAKEN_released_before_it_is_copied
    store(CONSUMER, HEAD, position(claim) + 1, RELEASE); /* SYNC ring.release (release) */
#endif
    copied = 0;
    copies_displaced_note = false
  }
  atomic { give_back(CONSUMER, position(claim)); claim = 0 }
}

inline sleep() {
  atomic {
    buffer[CONSUMER].pending == 0 && buffer[PRODUCER].pending == 0 -> /* SYNC bell.park */
    parked = true;
    claim = mem[CLAIM]
  }
  has_any();
  if
  :: atomic {
       found || stop || mem[CLOSED_AT] == position(claim) + 1 -> parked = false; found = false; claim = 0
     }
  :: atomic { !found && !stop && mem[CLOSED_AT] != position(claim) + 1 -> claim = 0 }
     !parked
  fi
}

proctype Consumer() {
  byte claim, first, told; /* the frames up to `told` have come, or were told of */
  bool found, had_last_note;
  {
    do
    :: break /* it may end before its producer does */
    :: stop -> break
    :: atomic { !stop -> claim = seen_by(CONSUMER, CLAIM) } /* SYNC overflow.claim (acquire) */
       claim_front();
       if
       :: found -> copy()
       :: atomic {
            !found && mem[CLOSED_AT] == position(claim) + 1 -> /* SYNC ring.close (acquire) */
            if
            :: !had_last_note && mem[OWN_NOTE(position(claim))] != 0 ->
#ifndef WEAKEN_last_note_is_not_remembered
               had_last_note = true;
#endif
               told = told + mem[OWN_NOTE(position(claim))];
               assert(told == offered)
            :: else -> assert(told == offered); break
            fi;
            claim = 0
          }
       :: atomic { /* OverflowReader::is_broken */
            !found && mem[CLOSED_AT] != 0 && mem[CLOSED_AT] != position(claim) + 1 ->
            claim = seen_by(CONSUMER, CLAIM);
            assert(mem[CLOSED_AT] == position(claim) + 1 || is_readable(position(claim)));
            claim = 0
          }
       :: !found && mem[CLOSED_AT] == 0 -> sleep()
       fi
    od;
    atomic { over[CONSUMER] = true; claim = 0; told = 0; had_last_note = false }
  } unless {
    atomic { dead[CONSUMER] -> claim = 0; first = 0; told = 0; found = false; had_last_note = false }
  }
}

/* Where nothing moves any more and the producer rests, all that it has put was taken. Then the run is stopped. */
proctype Rest() {
end:
  resting;
  timeout;
  assert(taken + displaced == stamped || over[CONSUMER]);
  atomic { stop = true; parked = false }
}

/* When both sides are gone: account_of, Run::release_left_frames. */
proctype Accounts() {
  byte front, rear;
end:
  d_step {
    (over[PRODUCER] || dead[PRODUCER]) && (over[CONSUMER] || dead[CONSUMER]) &&
    buffer[PRODUCER].pending == 0 && buffer[CONSUMER].pending == 0 ->
#ifdef WEAKEN_head_is_the_front
    front = mem[HEAD];
#else
    front = position(mem[CLAIM]);
#endif
#ifdef WEAKEN_displaced_figure_is_believed
    assert(mem[DISPLACED] == displaced);
#else
    assert(mem[DISPLACED] + (displacements(mem[CLAIM]) ^ (mem[DISPLACED] & 1)) == displaced);
#endif
    assert(front == taken + displaced);
    rear = front;
    if
    :: mem[CLOSED_AT] != 0 -> rear = mem[CLOSED_AT] - 1
    :: else ->
       do
       :: rear - front < SLOTS && is_readable(rear) -> rear++
       :: else -> break
       od
    fi;
    assert(rear == stamped);
    assert(offered - stamped - refused <= dead[PRODUCER]);
    do
    :: front < rear ->
       assert(mem[FIRST_WORD(front)] != 0 && mem[FIRST_WORD(front)] == mem[SECOND_WORD(front)]);
       if
       :: dead[CONSUMER] -> own(CONSUMER, front)
       :: else -> own(PRODUCER, front); give_back(PRODUCER, front)
       fi;
       front++
    :: else -> break
    od;
    assert((back | having[PRODUCER] | having[CONSUMER]) == bit_of(stamped) - 1);
    assert((dead[PRODUCER] || having[PRODUCER] == 0) && (dead[CONSUMER] || having[CONSUMER] == 0))
  }
}

init {
  atomic {
    run Producer();
    run Consumer();
    run Accounts();
    run StoreBuffer(PRODUCER);
    run StoreBuffer(CONSUMER);
#ifdef DEATH
  }
  if
  :: atomic { !over[PRODUCER] -> dead[PRODUCER] = true }
     fence(PRODUCER)
  :: atomic { !over[CONSUMER] -> dead[CONSUMER] = true }
     fence(CONSUMER)
  :: over[PRODUCER] && over[CONSUMER]
  fi;
  atomic { stop = true; parked = false } /* Run::on_child_ended, Run::tell_lanes_to_stop */
#else
    run Rest()
  }
#endif
}

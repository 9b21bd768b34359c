/* The ring (shm/ring.hpp), its doorbells (shm/doorbell.hpp) and the wait on them (engine/waiter.hpp): one producer, one
 * consumer, and the supervisor, which tells the one that the other has died.
 *
 * Each load, store and system call is a step of its own, a frame's payload is two words, and either side may be killed
 * between any two steps. Checked: each frame arrives once, whole and in order; nobody sleeps for ever (Spin's invalid
 * end states); "closed and empty" is exact; after a death the ring holds whole frames, and tells how many.
 *
 * Runs, as tests/models/run reads them:
 * check -DSLOTS=4 -DLIMIT=3 -DQUANTUM=2 -DFRAMES=5
 * check -DSLOTS=2 -DLIMIT=2 -DQUANTUM=3 -DFRAMES=3 -DDEATH
 * check -DSLOTS=2 -DLIMIT=2 -DQUANTUM=1 -DFRAMES=3 -DDEATH -DFENCES
 * check -DSLOTS=2 -DLIMIT=2 -DQUANTUM=2 -DFRAMES=3 -DSHORT_SLEEPS
 * check -DSLOTS=2 -DLIMIT=2 -DQUANTUM=1 -DFRAMES=2 -DDEATH -DSHORT_SLEEPS
 * weaken ringer_does_not_fence -DFENCES
 * weaken head_is_kept_when_dry -DSLOTS=2 -DLIMIT=2 -DQUANTUM=3 -DFRAMES=3
 * weaken dead_ringer_is_believed -DDEATH
 * weaken short_sleep_has_no_end -DSHORT_SLEEPS
 */
#ifndef SLOTS
#define SLOTS 2
#define LIMIT 2
#define QUANTUM 2
#define FRAMES 4
#endif

#define FIRST_WORD(pos) ((pos) % SLOTS)
#define SECOND_WORD(pos) (SLOTS + (pos) % SLOTS)
#define STAMP(pos) (2 * SLOTS + (pos) % SLOTS)
#define HEAD (3 * SLOTS)
#define CLOSED_AT (3 * SLOTS + 1) /* one more than the position; 0 while the ring is open */
#define GONE (3 * SLOTS + 2)
#define STOP (3 * SLOTS + 3)
#define PARKED(who) (3 * SLOTS + 4 + (who))
#define PLACES (3 * SLOTS + 6)
#define BUFFERS 3
#define PENDING 3
#include "memory.pml"

#define PRODUCER 0
#define CONSUMER 1
#define SUPERVISOR 2

bool asleep[2]; /* in futex_wait */
bool dead[2];
bool over[2];
byte stamped;   /* frames put, as the producer's program says */
byte taken;     /* as the consumer's says */
bool resting;

/* --- The doorbell */

/* Doorbell::wake: one exchange, which no earlier store of this process may follow; then the system call. */
inline wake(me, other) {
  atomic { fence(me); was_parked = mem[PARKED(other)]; mem[PARKED(other)] = 0 } /* SYNC bell.wake (release) */
  if
  :: was_parked -> was_parked = 0; asleep[other] = false
  :: else
  fi
}

inline ring(me, other) {
#if defined(FENCES) && !defined(WEAKEN_ringer_does_not_fence)
  fence(me); /* SYNC bell.park, without membarrier */
#endif
  if
  :: mem[PARKED(other)] != 0 -> /* SYNC bell.park */
#ifdef WEAKEN_wake_before_clearing
     asleep[other] = false;
     atomic { fence(me); mem[PARKED(other)] = 0 }
#else
     wake(me, other)
#endif
  :: else
  fi
}

inline announce(me, other) {
#ifndef WEAKEN_announced_after_the_look
  store(me, PARKED(me), 1, RELAXED);
#endif
  /* SYNC bell.park: everybody passes a full barrier, we do in any case */
#ifndef WEAKEN_sleeper_does_not_fence
  fence(me);
#endif
#if !defined(FENCES) && !defined(WEAKEN_no_membarrier)
  if
  :: !lightly -> fence(other); fence(SUPERVISOR)
  :: else -> skip /* Doorbell::announce, lightly */
  fi
#endif
}

/* Whether a sleep is expected to be short is a guess, but after one that has ended by itself it is not. */
inline expect() {
#ifdef SHORT_SLEEPS
  if
  :: !timed_out -> lightly = true
  :: lightly = false
  fi;
#endif
  timed_out = false
}

inline park(me) {
#ifdef WEAKEN_announced_after_the_look
  store(me, PARKED(me), 1, RELAXED);
#endif
  do
  :: atomic {
       fence(me); /* the system call */
#ifdef WEAKEN_sleeps_without_comparing
       asleep[me] = true
#else
       asleep[me] = mem[PARKED(me)] == 1
#endif
     }
     if
     :: !asleep[me]
#ifndef WEAKEN_short_sleep_has_no_end
     :: lightly -> /* its time is over */
        asleep[me] = false;
        store(me, PARKED(me), 0, RELAXED);
        timed_out = true;
        break
#endif
     fi;
     if
     :: mem[PARKED(me)] == 0 -> break /* SYNC bell.wake (acquire) */
     :: else
     fi
  od
}

/* --- The producer: RingWriter, Outlet, Worker::ready */

inline producer_looks() {
  ready = mem[STOP] || mem[GONE];
  if
  :: !ready && pos - seen >= LIMIT -> seen = mem[HEAD] /* SYNC ring.release (acquire) */
  :: else
  fi;
  ready = ready || pos - seen < LIMIT
}

inline put() {
#ifdef WEAKEN_stamp_is_relaxed
  store(PRODUCER, FIRST_WORD(pos), pos + 1, RELAXED);
  store(PRODUCER, SECOND_WORD(pos), pos + 1, RELAXED);
  atomic { store(PRODUCER, STAMP(pos), pos + 1, RELAXED); pos++; stamped = pos }
#else
  store(PRODUCER, FIRST_WORD(pos), pos + 1, RELAXED);
  store(PRODUCER, SECOND_WORD(pos), pos + 1, RELAXED);
  atomic { store(PRODUCER, STAMP(pos), pos + 1, RELEASE); pos++; stamped = pos } /* SYNC ring.publish (release) */
#endif
}

proctype Producer() {
  byte pos, seen;
  bool ready, was_parked, lightly, timed_out;
  {
    do
    :: pos == FRAMES -> break
    :: resting = true; mem[STOP]; break /* it has nothing to put, for as long as this takes */
    :: pos < FRAMES ->
       producer_looks();
       if
       :: ready
       :: else ->
          do
          :: expect();
             announce(PRODUCER, CONSUMER);
             producer_looks();
             if
             :: ready -> store(PRODUCER, PARKED(PRODUCER), 0, RELAXED); break
             :: else
             fi;
             park(PRODUCER);
             producer_looks();
             if
             :: ready -> break
             :: else
             fi
          od
       fi;
       ready = false;
       if
       :: mem[STOP] || mem[GONE] -> break
       :: else
       fi;
#ifdef WEAKEN_ring_before_putting
       ring(PRODUCER, CONSUMER);
       put()
#else
       put();
       ring(PRODUCER, CONSUMER)
#endif
    od;
    store(PRODUCER, CLOSED_AT, pos + 1, RELEASE); /* SYNC ring.close (release) */
#ifndef WEAKEN_close_without_ringing
    ring(PRODUCER, CONSUMER);
#endif
    over[PRODUCER] = true
  } unless { dead[PRODUCER] }
}

/* --- The consumer: RingReader, Inlet, Worker::ready */

inline consumer_looks() {
  ready = mem[STOP] || mem[STAMP(pos)] == pos + 1; /* SYNC ring.publish (acquire) */
  if
  :: !ready -> ready = mem[CLOSED_AT] == pos + 1
  :: else
  fi
}

inline release() {
  if
  :: released != pos ->
     released = pos;
     store(CONSUMER, HEAD, pos, RELEASE); /* SYNC ring.release (release) */
#ifndef WEAKEN_room_without_ringing
     ring(CONSUMER, PRODUCER)
#endif
  :: else
  fi
}

inline take() {
#ifdef WEAKEN_released_before_it_is_copied
  pos++;
  if
  :: pos - released >= QUANTUM -> release()
  :: else
  fi;
  pos--;
#endif
#ifndef WEAKEN_stamp_is_read_last
  first = mem[FIRST_WORD(pos)];
#endif
  assert(first == pos + 1);               /* in order, whole, and not yet overwritten */
  assert(mem[SECOND_WORD(pos)] == pos + 1);
  first = 0;
  atomic { pos++; taken = pos };
#ifndef WEAKEN_released_before_it_is_copied
  if
  :: pos - released >= QUANTUM -> release()
  :: else
  fi
#endif
}

proctype Consumer() {
  byte pos, released, first;
  bool ready, was_parked, lightly, timed_out;
  {
    do
    :: break /* it may end before its producer does */
    :: mem[STOP] -> break
    :: true ->
#ifdef WEAKEN_stamp_is_read_last
       first = mem[FIRST_WORD(pos)];
#endif
       if
       :: mem[STAMP(pos)] == pos + 1 -> /* SYNC ring.publish (acquire) */
          take()
       :: else ->
          first = 0;
#ifndef WEAKEN_head_is_kept_when_dry
          release();
#endif
#ifdef WEAKEN_closed_is_a_flag
          if
          :: mem[CLOSED_AT] != 0 ->
#else
          if
          :: mem[CLOSED_AT] == pos + 1 -> /* SYNC ring.close (acquire) */
#endif
             assert(pos == stamped);
             break
          :: else
          fi;
          do
          :: expect();
             announce(CONSUMER, PRODUCER);
             consumer_looks();
             if
             :: ready -> store(CONSUMER, PARKED(CONSUMER), 0, RELAXED); break
             :: else
             fi;
             park(CONSUMER);
             consumer_looks();
             if
             :: ready -> break
             :: else
             fi
          od;
          ready = false
       fi
    od;
    ready = false;
    release();
    store(CONSUMER, GONE, 1, RELAXED);
#ifndef WEAKEN_leaves_without_ringing
    ring(CONSUMER, PRODUCER);
#endif
    over[CONSUMER] = true
  } unless { dead[CONSUMER] }
}

/* --- Death, and who tells of it: Run::on_child_ended, Run::tell_lanes_to_stop */

proctype Supervisor() {
  byte survivor;
  bool was_parked;
end:
  if
  :: dead[PRODUCER] -> fence(PRODUCER); survivor = CONSUMER
  :: dead[CONSUMER] -> fence(CONSUMER); survivor = PRODUCER
  fi;
  store(SUPERVISOR, STOP, 1, RELEASE); /* SYNC lane.stop (release) */
  /* The one who died may have cleared the word already, and not come to the system call. */
#ifdef WEAKEN_dead_ringer_is_believed
  ring(SUPERVISOR, survivor)
#else
  atomic { fence(SUPERVISOR); mem[PARKED(survivor)] = 0 }
  asleep[survivor] = false
#endif
}

/* Where nothing moves any more and the producer rests, all that it has put was taken. Then the run is stopped. */
proctype Rest() {
end:
  resting;
  timeout;
  assert(taken == stamped || over[CONSUMER] || dead[CONSUMER]);
  atomic { mem[STOP] = 1; mem[PARKED(CONSUMER)] = 0; asleep[CONSUMER] = false }
}

/* Run::write_report, frames_put: when both sides are gone. */
proctype Accounts() {
  byte pos;
end:
  (over[PRODUCER] || dead[PRODUCER]) && (over[CONSUMER] || dead[CONSUMER]);
  fence(PRODUCER);
  fence(CONSUMER);
  d_step {
    if
    :: mem[CLOSED_AT] != 0 -> assert(mem[CLOSED_AT] == stamped + 1)
    :: else ->
       pos = mem[HEAD];
       do
       :: pos - mem[HEAD] < LIMIT && mem[STAMP(pos)] == pos + 1 ->
          assert(mem[FIRST_WORD(pos)] == pos + 1 && mem[SECOND_WORD(pos)] == pos + 1);
          pos++
       :: else -> break
       od;
       assert(pos == stamped)
    fi
  }
}

init {
  atomic {
    run Producer();
    run Consumer();
    run Rest();
    run Accounts();
    run StoreBuffer(PRODUCER);
    run StoreBuffer(CONSUMER);
#ifdef DEATH
    run Supervisor();
    run StoreBuffer(SUPERVISOR)
#endif
  }
#ifdef DEATH
  if
  :: dead[PRODUCER] = true
  :: dead[CONSUMER] = true
  :: true
  fi
#endif
}

/* Blocks of an arena (shm/arena.cpp) and the shares that frames have of them (engine/frame.cpp): a lender, and two
 * consumers who read, write in place where nobody shares, hand on, and drop. Any one of the three may be killed.
 *
 * Each load, store and atomic operation is a step of its own, and a payload is two words. Checked: a block is not lent
 * while somebody has a share of it; nobody reads what was not meant for him; each block comes back to the lender, but
 * for those that a killed process had a share of. Nobody knows whose such a share was, so it is lost until the arena
 * goes. That is what is guaranteed at present, and checked: the shares left over are exactly those of the dead.
 *
 * Runs, as tests/models/run reads them:
 * check -DBLOCKS=2 -DFRAMES=5
 * check -DBLOCKS=2 -DFRAMES=5 -DCHAIN
 * check -DBLOCKS=3 -DFRAMES=2 -DDEATH
 * check -DBLOCKS=3 -DFRAMES=2 -DDEATH -DCHAIN
 * weaken drop_is_relaxed -DBLOCKS=2 -DFRAMES=3 -DCHAIN
 */
#ifndef BLOCKS
#define BLOCKS 2
#define FRAMES 3
#endif

#define LENDER 0
#define FIRST 1
#define SECOND 2
#define BUFFERS 3

#define SHARES(block) (block)
#define FIRST_WORD(block) (BLOCKS + (block))
#define SECOND_WORD(block) (2 * BLOCKS + (block))
#define QUEUE(who) (3 * BLOCKS + (who) - 1) /* a ring of one slot */
#define PLACES (3 * BLOCKS + 2)
#ifdef DEATH
#define PENDING 3
#else
#define PENDING 4
#endif
#include "memory.pml"

/* What a slot holds: which frame it is, and its block. 0 is an empty slot. */
#define frame_of(number, block) ((number) * BLOCKS + (block))
#define block_of(frame) ((frame) % BLOCKS)
#define number_of(frame) ((frame) / BLOCKS)
#define CHANGED 100 /* is added to a payload that was written in place */

/* As the programs say: shares of each block, and whose they are. What is queued is its consumer's. */
byte held[BLOCKS];
byte having[3 * BLOCKS];
bool queued[3];
bool dead[3], over[3];
#define has(who, block) having[(who) * BLOCKS + (block)]

/* Frame::add_shares: relaxed, but what this process has stored there before comes first */
inline add_share(me, block) {
#ifdef WEAKEN_share_is_not_atomic
  atomic { !is_pending(me, SHARES(block)); count = mem[SHARES(block)] }
  atomic { mem[SHARES(block)] = count + 1; count = 0; held[block]++; has(me, block)++ }
#else
  atomic { !is_pending(me, SHARES(block)); mem[SHARES(block)]++; held[block]++; has(me, block)++ }
#endif
}

/* Frame::drop_shares */
inline drop_share(me, block) {
#ifndef WEAKEN_drop_is_relaxed
  fence(me); /* SYNC block.drop (release) */
#endif
#ifdef WEAKEN_drop_is_not_atomic
  atomic { fence(me); count = mem[SHARES(block)] }
  atomic { mem[SHARES(block)] = count - 1; count = 0; held[block]--; has(me, block)-- }
#else
  atomic { mem[SHARES(block)]--; held[block]--; has(me, block)-- }
#endif
}

/* Through a ring, which tests/models/ring_parking.pml is about; here it is as short as can be. The share goes along. */
inline put(me, other, frame) {
  if
  :: !dead[other] && !queued[other] ->
     atomic {
#ifdef WEAKEN_put_is_relaxed
       store(me, QUEUE(other), frame, RELAXED);
#else
       store(me, QUEUE(other), frame, RELEASE); /* SYNC ring.publish (release) */
#endif
       queued[other] = true;
       has(me, block_of(frame))--;
       has(other, block_of(frame))++
     }
  :: dead[other] -> drop_share(me, block_of(frame))
  fi
}

inline take(me) {
  atomic {
    mem[QUEUE(me)] != 0 -> /* SYNC ring.publish (acquire) */
    frame = mem[QUEUE(me)];
    mem[QUEUE(me)] = 0;
    queued[me] = false
  }
}

/* --- The lender: Arena::lend, Outlet::put_any */

/* Arena::free_at, for each block. Where none is free the arena grows; here it waits, so that what is lost shows. */
#define is_free(block) (mem[SHARES(block)] == 0 && !is_pending(LENDER, SHARES(block))) /* SYNC block.drop (acquire) */
inline find_free() {
  if
  :: is_free(0) -> block = 0
  :: is_free(1) -> block = 1
#if BLOCKS > 2
  :: is_free(2) -> block = 2
#endif
  fi
}

proctype Lender() {
  byte block, count, number;
  {
    do
    :: number == FRAMES -> break
    :: number < FRAMES ->
       number++;
#ifdef WEAKEN_written_before_the_look
       if
       :: block = 0
       :: block = 1
       fi;
       store(LENDER, FIRST_WORD(block), number, RELAXED);
       is_free(block);
#else
       find_free();
#endif
       assert(held[block] == 0);
       atomic { store(LENDER, SHARES(block), 1, RELAXED); held[block] = 1; has(LENDER, block)++ }
#ifndef WEAKEN_written_before_the_look
       store(LENDER, FIRST_WORD(block), number, RELAXED);
#endif
       store(LENDER, SECOND_WORD(block), number, RELAXED);
#ifdef CHAIN
       put(LENDER, FIRST, frame_of(number, block))
#else
#ifndef WEAKEN_shared_after_the_put
       add_share(LENDER, block);
#endif
       put(LENDER, FIRST, frame_of(number, block));
#ifdef WEAKEN_shared_after_the_put
       add_share(LENDER, block);
#endif
       add_share(LENDER, block);
       put(LENDER, SECOND, frame_of(number, block));
       drop_share(LENDER, block)
#endif
    od;
    over[LENDER] = true
  } unless { dead[LENDER] }
}

/* --- A consumer: Frame::view, Frame::data, Frame::is_shared */

inline read(me, difference) {
#ifdef WEAKEN_dropped_before_it_is_read
  drop_share(me, block_of(frame));
#endif
  assert(mem[FIRST_WORD(block_of(frame))] == number_of(frame) + difference);
  assert(mem[SECOND_WORD(block_of(frame))] == number_of(frame) + difference)
}

inline write_in_place(me) {
  if
#ifdef WEAKEN_written_though_shared
  :: true ->
#else
  :: mem[SHARES(block_of(frame))] == 1 -> /* SYNC block.drop (acquire), in Frame::is_shared */
#endif
     assert(held[block_of(frame)] == 1);
     store(me, FIRST_WORD(block_of(frame)), number_of(frame) + CHANGED, RELAXED);
     store(me, SECOND_WORD(block_of(frame)), number_of(frame) + CHANGED, RELAXED)
#ifndef WEAKEN_written_though_shared
  :: else
#endif
  fi
}

inline drop_it(me) {
#ifdef WEAKEN_drop_is_not_counted
  if
  :: me == FIRST -> drop_share(me, block_of(frame))
  :: else
  fi;
#else
#ifndef WEAKEN_dropped_before_it_is_read
  drop_share(me, block_of(frame));
#endif
#endif
  frame = 0
}

#ifdef CHAIN
proctype Consumer(byte me) {
  byte frame, count;
  {
    do
    :: take(me);
       if
       :: me == FIRST -> read(FIRST, 0); write_in_place(FIRST); put(FIRST, SECOND, frame); frame = 0
       :: me == SECOND -> read(SECOND, CHANGED); write_in_place(SECOND); drop_it(SECOND)
       fi
    :: me == FIRST && !queued[FIRST] && (over[LENDER] || dead[LENDER]) -> break
    :: me == SECOND && !queued[SECOND] && (over[FIRST] || dead[FIRST]) -> break
    od;
    over[me] = true
  } unless { dead[me] }
}
#else
proctype Consumer(byte me) {
  byte frame, count;
  {
    do
    :: take(me); read(me, 0); write_in_place(me); drop_it(me)
    :: !queued[me] && (over[LENDER] || dead[LENDER]) -> break
    od;
    over[me] = true
  } unless { dead[me] }
}
#endif

/* blocks_lent, when all are gone */
proctype Accounts() {
  byte block;
end:
  (over[LENDER] || dead[LENDER]) && (over[FIRST] || dead[FIRST]) && (over[SECOND] || dead[SECOND]);
  fence(LENDER);
  fence(FIRST);
  fence(SECOND);
  d_step {
    do
    :: block < BLOCKS ->
       assert(mem[SHARES(block)] == dead[LENDER] * has(LENDER, block) + dead[FIRST] * has(FIRST, block) +
                                    dead[SECOND] * has(SECOND, block));
       block++
    :: else -> break
    od
  }
}

init {
  atomic {
    run Lender();
    run Consumer(FIRST);
    run Consumer(SECOND);
    run Accounts();
    run StoreBuffer(LENDER);
    run StoreBuffer(FIRST);
    run StoreBuffer(SECOND)
  }
#ifdef DEATH
  if
  :: dead[LENDER] = true
  :: dead[FIRST] = true
  :: dead[SECOND] = true
  :: true
  fi
#endif
}

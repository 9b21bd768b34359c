/* The exactly-once commit (engine/journal.cpp): a worker takes from a ring, keeps a state, puts on two rings, and may be
 * killed between any two steps, during its recovery as well; another is started in its place.
 *
 * What a burst of polls took, what it put and its state take effect by one store, of the commit word. Before it, the
 * burst has written only what nobody looks at: slots without stamps, the state's other copy, the other record, in which
 * the first frame of each ring lies as well. After it, `apply` does what the record says, which may be done any number
 * of times: lay the first frame in its slot, stamp the slots, drop the shares; and the head is published, then or later.
 * So recovery is to apply the record that is committed, to publish its head, and to take back blocks lent in the burst
 * that is not.
 *
 * A share of a block is a set of bits, all of them when it is lent; sharing splits the set and touches no memory. Each
 * bit is cleared once a lending, whose number lies in the same word, so dropping it again does nothing. (The engine is
 * simpler: one bit is one share, and a worker that would split one copies the block into one of its own.) A holder that
 * nobody kills may share further, with a bit that this lending has not given yet: never one that is free again.
 *
 * Memory is sequentially consistent here: what recovery reads was stored by a process that is dead, whose stores are
 * all there, up to the instruction where it was killed; what the neighbours read is published as
 * tests/models/ring_parking.pml has it. Checked: each frame of each outlet arrives once, in order, with the result of
 * the one poll whose state lasts; no payload changes while somebody may still read it, also to do a poll again; when
 * all is done each block is back.
 *
 * Runs, as tests/models/run reads them:
 * check -DFRAMES=3 -DKILLS=1
 * check -DFRAMES=2 -DKILLS=2
 */
#ifndef FRAMES
#define FRAMES 4
#define KILLS 1
#endif
#define SLOTS 2

/* Rings: the slots' stamps, and what lies beside: block, bits, and a value in the descriptor. */
#define IN 0
#define A 1
#define B 2
#define slot(ring, pos) ((ring) * SLOTS + (pos) % SLOTS)
byte stamp[3 * SLOTS], block_in[3 * SLOTS], bits_in[3 * SLOTS], value_in[3 * SLOTS];
byte head[3];

/* Blocks: three of the source's arena, two of the worker's. `live` and `lending` are one word. */
#define SOURCES 0
#define WORKERS 3
#define BLOCKS 5
#define ALL_BITS 3
#ifdef WEAKEN_a_bit_is_given_twice
#define FRESH_BIT 2
#else
#define FRESH_BIT 4
#endif
byte live[BLOCKS], lending[BLOCKS], lent_in[BLOCKS], payload[BLOCKS];

/* The worker's control block: the commit word, two records, two copies of a state of two words. */
#define STATE_WORDS 2
byte commit;
typedef Record {
  byte in_end, a_begin, a_end, b_begin, b_end, state, drops;
  byte drop_block[SLOTS], drop_bits[SLOTS], drop_lending[SLOTS];
  byte first_block[2], first_bits[2], first_value[2] /* of A and B */
}
Record record[2];
byte state[2 * STATE_WORDS];

bool killed;
bool source_over, worker_over, sink_over;

/* Each process that runs the worker comes to results of its own: it adds this to each frame. What is committed once
 * is what the sink gets on both rings. */
#define OWN 16
byte own;
byte expected[FRAMES + 1]; /* the sum after so many frames, as the sink got it first; 0: not yet */

/* --- The source: its n-th frame has payload n */

inline lend(number, first, epoch) {
  atomic {
    block = first;
    do
    :: live[block] != 0 -> block++
    :: else -> break
    od
  }
#ifdef WEAKEN_lent_before_it_is_noted
  atomic { lending[block]++; live[block] = ALL_BITS }
  lent_in[block] = epoch;
#else
  lent_in[block] = epoch;
  atomic { lending[block]++; live[block] = ALL_BITS }
#endif
  payload[block] = number
}

proctype Source() {
  byte pos, block;
  do
  :: pos == FRAMES -> break
  :: atomic {
       pos < FRAMES && pos - head[IN] < SLOTS && (live[0] == 0 || live[1] == 0 || live[2] == 0) ->
       lend(pos + 1, SOURCES, 0);
       block_in[slot(IN, pos)] = block;
       bits_in[slot(IN, pos)] = ALL_BITS;
       stamp[slot(IN, pos)] = pos + 1;
       block = 0;
       pos++
     }
  od;
  source_over = true
}

/* --- The worker */

inline drop(block, bits) { live[block] = live[block] & ~(bits) }

/* Everything here is done once more by whoever finds the record after a death. */
inline lay_first(ring, begin, end) {
  atomic {
    if
    :: begin != end && stamp[slot(ring, begin)] != begin + 1 ->
       block_in[slot(ring, begin)] = record[r].first_block[ring - A];
       bits_in[slot(ring, begin)] = record[r].first_bits[ring - A];
       value_in[slot(ring, begin)] = record[r].first_value[ring - A]
    :: else
    fi
  }
}

inline stamp_all(ring, begin, end) {
#ifndef WEAKEN_first_is_laid_behind_its_stamp
  lay_first(ring, begin, end);
#endif
  i = begin;
  do
  :: atomic { i < end -> stamp[slot(ring, i)] = i + 1; i++ }
  :: atomic { i == end -> i = 0; break }
  od
#ifdef WEAKEN_first_is_laid_behind_its_stamp
  ;
  lay_first(ring, begin, end)
#endif
}

inline apply(r) {
  stamp_all(A, record[r].a_begin, record[r].a_end);
  stamp_all(B, record[r].b_begin, record[r].b_end);
  do
  :: atomic { /* compare and exchange of the one word */
       i < record[r].drops ->
       if
#ifdef WEAKEN_dropped_whatever_the_lending
       :: i < SLOTS ->
#else
       :: lending[record[r].drop_block[i]] == record[r].drop_lending[i] ->
#endif
          drop(record[r].drop_block[i], record[r].drop_bits[i])
       :: else
       fi;
       i++
     }
  :: atomic { i == record[r].drops -> i = 0; break }
  od
}

#ifdef WEAKEN_one_record
#define record_of(epoch) 0
#else
#define record_of(epoch) ((epoch) % 2)
#endif
#ifdef WEAKEN_one_state
#define other(copy) (copy)
#else
#define other(copy) (1 - (copy))
#endif

inline attach() {
  atomic { epoch = commit; r = record_of(epoch) }
#ifndef WEAKEN_commit_is_not_redone
  apply(r);
  head[IN] = record[r].in_end;
#endif
#ifndef WEAKEN_lends_are_forgotten
  do
  :: atomic {
       i < BLOCKS ->
       if
       :: i >= WORKERS && live[i] != 0 && lent_in[i] == epoch + 1 -> live[i] = 0
       :: else
       fi;
       i++
     }
  :: atomic { i == BLOCKS -> i = 0; break }
  od;
#endif
  atomic {
    in_pos = record[r].in_end;
    a_pos = record[r].a_end;
    b_pos = record[r].b_end;
    r = record_of(epoch + 1)
  }
}

inline begin_burst() {
  atomic {
    begun = true;
    in_begin = in_pos;
    i = record[record_of(epoch)].state;
    copy = other(i)
  }
  record[r].drops = 0;
  state[2 * copy] = state[2 * i];
  atomic { state[2 * copy + 1] = state[2 * i + 1]; i = 0 }
}

/* The slot's stamp stays as it is: nobody takes it for readable. */
inline put(ring, pos, which, bits, value) {
  atomic {
    if
    :: pos == (ring == A -> record[record_of(epoch)].a_end : record[record_of(epoch)].b_end) ->
       record[r].first_block[ring - A] = which;
       record[r].first_bits[ring - A] = bits;
       record[r].first_value[ring - A] = value
    :: else ->
       block_in[slot(ring, pos)] = which;
       bits_in[slot(ring, pos)] = bits;
       value_in[slot(ring, pos)] = value
    fi;
    pos++
  }
#ifdef WEAKEN_stamped_when_put
  stamp[slot(ring, pos - 1)] = pos;
#endif
}

/* To be dropped once the burst is committed. */
inline drop_later(which, bits) {
#ifdef WEAKEN_dropped_at_once
  drop(which, bits)
#else
  atomic {
    record[r].drop_block[record[r].drops] = which;
    record[r].drop_bits[record[r].drops] = bits;
    record[r].drop_lending[record[r].drops] = lending[which];
    record[r].drops++
  }
#endif
}

/* Adds up what comes. Of three frames the first goes on to both; the second goes on to none, the third to A only, and B
 * gets the sum in a block of our own. What does not go on is dropped. Both always get the sum in the frame, too. */
inline poll() {
  atomic { taken = block_in[slot(IN, in_pos)]; in_pos++ }
#ifdef WEAKEN_head_is_published_when_taken
  head[IN] = in_pos;
#endif
  atomic { assert(payload[taken] == in_pos); state[2 * copy] = state[2 * copy] + payload[taken] + own }
  atomic {
    state[2 * copy + 1] = state[2 * copy + 1] + 1;
    assert(state[2 * copy + 1] == in_pos)
  }
#ifdef WEAKEN_written_in_place
  payload[taken] = 0;
  payload[taken] = in_pos;
#endif
  if
  :: in_pos % 3 == 1 ->
     put(A, a_pos, taken, 1, state[2 * copy]);
     put(B, b_pos, taken, 2, state[2 * copy])
  :: else ->
     put(A, a_pos, taken, (in_pos % 3 == 2 -> 0 : 1), state[2 * copy]);
     lend(state[2 * copy], WORKERS, epoch + 1);
     put(B, b_pos, block, ALL_BITS, state[2 * copy]);
     drop_later(taken, (in_pos % 3 == 2 -> ALL_BITS : 2))
  fi
}

inline commit_burst() {
  record[r].a_begin = record[record_of(epoch)].a_end;
  record[r].b_begin = record[record_of(epoch)].b_end;
  record[r].a_end = a_pos;
#ifndef WEAKEN_committed_before_the_record
  record[r].b_end = b_pos;
#endif
  record[r].in_end = in_pos;
#ifndef WEAKEN_state_has_a_word_of_its_own
  record[r].state = copy;
#endif
#ifdef WEAKEN_stamped_before_the_commit
  stamp_all(A, record[r].a_begin, record[r].a_end);
#endif
  atomic { epoch++; commit = epoch } /* everything takes effect here, as one */
#ifdef WEAKEN_committed_before_the_record
  record[r].b_end = b_pos;
#endif
#ifdef WEAKEN_state_has_a_word_of_its_own
  record[0].state = copy;
  record[1].state = copy;
#endif
  apply(r);
  if /* when enough has come together */
  :: head[IN] = in_pos
  :: skip
  fi;
  atomic { r = record_of(epoch + 1); begun = false; copy = 0; in_begin = 0; taken = 0; block = 0 }
}

#define has_input (stamp[slot(IN, in_pos)] == in_pos + 1)
#define has_room (a_pos - head[A] < SLOTS && b_pos - head[B] < SLOTS && (live[3] == 0 || live[4] == 0))

proctype Worker() {
  byte epoch, r, in_pos, in_begin, a_pos, b_pos, copy, block, taken, i;
  bool begun;
start:
  {
    attach();
    do
    :: has_input && has_room && (!begun || in_pos - in_begin < SLOTS) ->
       if
       :: !begun -> begin_burst()
       :: else
       fi;
       poll()
    :: begun -> commit_burst() /* in any case before it waits */
    :: !begun && head[IN] != in_pos -> head[IN] = in_pos /* the same */
    :: in_pos == FRAMES && !begun -> break
    od;
    worker_over = true
  } unless {
    atomic { /* another process, which knows nothing */
      killed && !worker_over;
      epoch = 0; r = 0; in_pos = 0; in_begin = 0; a_pos = 0; b_pos = 0; copy = 0; block = 0; taken = 0; i = 0;
      begun = false;
      own = own + OWN;
      killed = false;
      goto start
    }
  }
}

/* --- The sink of both */

inline take(ring, pos) {
  block = block_in[slot(ring, pos)];
  assert(pos < FRAMES);
  if
  :: expected[pos + 1] == 0 -> expected[pos + 1] = value_in[slot(ring, pos)]
  :: else -> assert(expected[pos + 1] == value_in[slot(ring, pos)])
  fi;
  assert(expected[pos + 1] % OWN == ((pos + 1) * (pos + 2) / 2) % OWN);
  assert((live[block] & bits_in[slot(ring, pos)]) == bits_in[slot(ring, pos)]);
  assert(bits_in[slot(ring, pos)] == 0 ||
         payload[block] == (ring == A || pos % 3 == 0 -> pos + 1 : expected[pos + 1]));
  if
  :: ring == A && pos % 3 == 2 && (live[block] & FRESH_BIT) == 0 ->
     live[block] = live[block] | FRESH_BIT;
     kept = block + 1
  :: else
  fi;
  drop(block, bits_in[slot(ring, pos)]);
  block = 0;
  pos++;
  head[ring] = pos
}

/* Of every third frame it keeps the payload for longer than A's share, by a share that it gives itself. */
proctype Sink() {
  byte a_pos, b_pos, block, kept;
  do
  :: atomic { stamp[slot(A, a_pos)] == a_pos + 1 -> take(A, a_pos) }
  :: atomic { stamp[slot(B, b_pos)] == b_pos + 1 -> take(B, b_pos) }
  :: atomic {
       kept != 0 ->
       assert((live[kept - 1] & FRESH_BIT) != 0 && payload[kept - 1] == 3);
       drop(kept - 1, FRESH_BIT);
       kept = 0
     }
  :: a_pos == FRAMES && b_pos == FRAMES && kept == 0 && worker_over -> break
  od;
  sink_over = true
}

proctype Accounts() {
  source_over && worker_over && sink_over;
  assert(state[2 * record[record_of(commit)].state] == expected[FRAMES]);
  assert(live[0] == 0 && live[1] == 0 && live[2] == 0 && live[3] == 0 && live[4] == 0)
}

proctype Killer() {
  byte kills;
end:
  do
  :: kills < KILLS && !worker_over -> kills++; killed = true;
end_killed:
     !killed
  od
}

init {
  atomic {
    run Source();
    run Worker();
    run Sink();
    run Accounts();
    run Killer()
  }
}

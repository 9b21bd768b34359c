/* Memory as weak as the C++ orders in use allow: what a process stores waits in a buffer of its own, and leaves it in
 * any order, but a store after all earlier ones to the same place, and a release after all earlier ones to any. That
 * is weaker than x86, whose buffers keep all stores in order. What a model needs of an acquire is that its loads
 * happen in the order in which they are written here.
 *
 * The including model says how many processes there are (BUFFERS), how many stores a buffer holds (PENDING, at most 4)
 * and how many places (PLACES) the memory has. Who loads a place that it may have a store pending to asks for that. */

#define RELAXED 0
#define RELEASE 1

typedef Buffer {
  byte pending;
  byte place[PENDING];
  byte value[PENDING];
  bit order[PENDING]
}
byte mem[PLACES];
Buffer buffer[BUFFERS];

inline store(me, where, what, how) {
  atomic {
    buffer[me].pending < PENDING ->
    buffer[me].place[buffer[me].pending] = where;
    buffer[me].value[buffer[me].pending] = what;
    buffer[me].order[buffer[me].pending] = how;
    buffer[me].pending++
  }
}

#define is_pending_at(b, at, where) (buffer[b].pending > at && buffer[b].place[at] == where)
#if PENDING > 3
#define is_pending(b, where) (is_pending_at(b, 0, where) || is_pending_at(b, 1, where) || \
                              is_pending_at(b, 2, where) || is_pending_at(b, 3, where))
#else
#define is_pending(b, where) (is_pending_at(b, 0, where) || is_pending_at(b, 1, where) || is_pending_at(b, 2, where))
#endif

/* A full barrier of this process; by membarrier also one that another process is made to pass. */
inline fence(whose) { buffer[whose].pending == 0 }

#define may_leave_0(b) (buffer[b].pending > 0)
#define may_leave_1(b) (buffer[b].pending > 1 && buffer[b].order[1] == RELAXED && \
                        buffer[b].place[1] != buffer[b].place[0])
#define may_leave_2(b) (buffer[b].pending > 2 && buffer[b].order[2] == RELAXED && \
                        buffer[b].place[2] != buffer[b].place[0] && buffer[b].place[2] != buffer[b].place[1])

#define may_leave_3(b) (buffer[b].pending > 3 && buffer[b].order[3] == RELAXED && \
                        buffer[b].place[3] != buffer[b].place[0] && buffer[b].place[3] != buffer[b].place[1] && \
                        buffer[b].place[3] != buffer[b].place[2])

inline leave(b, at) {
  mem[buffer[b].place[at]] = buffer[b].value[at];
  buffer[b].pending--;
  left = at;
  do
  :: left < buffer[b].pending ->
     buffer[b].place[left] = buffer[b].place[left + 1];
     buffer[b].value[left] = buffer[b].value[left + 1];
     buffer[b].order[left] = buffer[b].order[left + 1];
     left++
  :: else -> break
  od;
  buffer[b].place[left] = 0;
  buffer[b].value[left] = 0;
  buffer[b].order[left] = 0;
  left = 0
}

/* Brings the stores of one process to memory, also after its death: what it has stored, it has stored. */
proctype StoreBuffer(byte b) {
  byte left;
end:
  do
  :: atomic { may_leave_0(b) -> leave(b, 0) }
  :: atomic { may_leave_1(b) -> leave(b, 1) }
  :: atomic { may_leave_2(b) -> leave(b, 2) }
#if PENDING > 3
  :: atomic { may_leave_3(b) -> leave(b, 3) }
#endif
  od
}

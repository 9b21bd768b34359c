/* Crews (engine/crew.cpp): threads that run several lanes in turn, and the supervisor, which takes the other lanes away
 * from one that is inside a lane's poll, and gives them and lanes that are handed over a thread each.
 *
 * The supervisor tries at any time, not only where a poll takes long. Checked: no lane is used by two threads; each
 * thread finds what the one before it did to the lane; each lane is run to its end, so none is left to nobody.
 *
 * Runs, as tests/models/run reads them:
 * check -DLANES=2 -DTURNS=3 -DLOOKS
 * check -DLANES=3 -DTURNS=2 -DTURNS_OF_OTHERS=1
 * weaken inside_is_relaxed -DLANES=3 -DTURNS=2 -DTURNS_OF_OTHERS=1
 */
#ifndef LANES
#define LANES 2
#define TURNS 2
#endif

#ifndef TURNS_OF_OTHERS
#define TURNS_OF_OTHERS TURNS
#endif
#define turns_of(lane) (lane == 0 -> TURNS : TURNS_OF_OTHERS)

#define LIST(crew) (crew) /* Crew::lanes_, a bit a lane; no atomic */
#define INSIDE(crew) (LANES + (crew))
#define WORK(lane) (2 * LANES + (lane)) /* a lane's own memory: how many turns it had */
#define PLACES (3 * LANES)
#define BUFFERS LANES
#define PENDING 3
#include "memory.pml"

#define NOBODY 0 /* inside no lane; inside lane n is n + 1 */
#define TAKING (LANES + 1)
#define TAKEN (LANES + 2)
#define bit_of(lane) (1 << (lane))
#define several(lanes) ((lanes & (lanes - 1)) != 0)
#define ALL ((1 << LANES) - 1)

byte turns[LANES]; /* as the threads' programs say */
byte users[LANES]; /* threads that touch the lane */
bool started[LANES];
byte crews = 1;
byte ended;     /* lanes */
byte heavy = LANES; /* a lane that is handed over; LANES: none */

inline use(lane) {
  atomic {
    users[lane]++;
    assert(users[lane] == 1);
    assert(mem[WORK(lane)] == turns[lane] || is_pending(me, WORK(lane)))
  }
}
inline leave_alone(lane) { users[lane]-- }

inline turn(lane) {
  use(lane);
  atomic { store(me, WORK(lane), turns[lane] + 1, RELAXED); turns[lane]++ }
  leave_alone(lane)
}

/* Crew::turn */
inline turn_in_company(lane) {
#ifdef WEAKEN_inside_is_relaxed
  store(me, INSIDE(me), lane + 1, RELAXED);
#else
  store(me, INSIDE(me), lane + 1, RELEASE); /* SYNC crew.inside (release) */
#endif
  turn(lane);
#ifdef WEAKEN_returns_without_comparing
  store(me, INSIDE(me), NOBODY, RELEASE)
#else
  atomic { /* compare and exchange */
    fence(me); /* SYNC crew.inside (release) */
    parted = mem[INSIDE(me)] != lane + 1;
    if
    :: !parted -> mem[INSIDE(me)] = NOBODY
    :: else
    fi
  }
  if
  :: parted ->
     parted = false;
#ifndef WEAKEN_list_is_changed_at_once
     mem[INSIDE(me)] == TAKEN; /* SYNC crew.taken (acquire) */
     store(me, INSIDE(me), NOBODY, RELAXED);
#endif
     mine = bit_of(lane);
     store(me, LIST(me), mine, RELAXED)
  :: else
  fi
#endif
}

/* Crew::leave */
inline leave_crew(lane) {
  mine = mine & ~bit_of(lane);
  store(me, LIST(me), mine, RELAXED)
}

/* Crew::run; `mine` is the list as this thread sees it. */
proctype Crew(byte me) {
  byte mine, lane;
  bool parted;
end:
  started[me];
  mine = mem[LIST(me)];
  do
  :: mine == 0 -> break
  :: mine != 0 && lane == LANES ->
     lane = 0;
     if
#ifdef LOOKS
     :: several(mine) -> /* Crew::wait looks at all of its lanes */
        do
        :: lane < LANES && (mine & bit_of(lane)) -> use(lane); leave_alone(lane); lane++
        :: lane < LANES && !(mine & bit_of(lane)) -> lane++
        :: lane == LANES -> lane = 0; break
        od
#endif
     :: true
     fi
  :: mine != 0 && lane < LANES && !(mine & bit_of(lane)) -> lane++
  :: lane < LANES && (mine & bit_of(lane)) ->
     if
     :: several(mine) -> turn_in_company(lane)
     :: else -> turn(lane)
     fi;
     if
     :: turns[lane] == turns_of(lane) -> leave_crew(lane); ended++
     :: turns[lane] < turns_of(lane)
     :: turns[lane] < turns_of(lane) && several(mine) && heavy == LANES ->
#ifndef WEAKEN_handed_over_but_kept
        leave_crew(lane);
#endif
        atomic { fence(me); heavy == LANES; heavy = lane } /* under a mutex */
     fi;
     lane++
  od
}

/* Run::start_crew */
inline start_crew(lanes) {
  atomic { mem[LIST(crews)] = lanes; started[crews] = true; crews++ }
}

/* Run::part_crews, Crew::take_others */
proctype Supervisor() {
  byte crew, lane, others;
  do
  :: ended == LANES -> break
  :: heavy != LANES -> lane = heavy; heavy = LANES; start_crew(bit_of(lane)); lane = 0
  :: crews < LANES ->
     if
     :: crew = 0
     :: crews > 1 -> crew = 1
     fi;
     lane = mem[INSIDE(crew)];
     if
     :: lane == NOBODY || lane == TAKEN
     :: else ->
        atomic { /* compare and exchange */
#ifdef WEAKEN_taken_without_comparing
          mem[INSIDE(crew)] = TAKING
#else
          if
          :: mem[INSIDE(crew)] == lane -> mem[INSIDE(crew)] = TAKING /* SYNC crew.inside (acquire) */
          :: else -> lane = NOBODY
          fi
#endif
        }
        if
        :: lane != NOBODY ->
#ifdef WEAKEN_taken_before_the_list_is_read
           mem[INSIDE(crew)] = TAKEN;
#endif
           others = mem[LIST(crew)] & ~bit_of(lane - 1);
#ifndef WEAKEN_taken_before_the_list_is_read
           mem[INSIDE(crew)] = TAKEN; /* SYNC crew.taken (release) */
#endif
           start_crew(others);
           others = 0
        :: else
        fi
     fi;
     lane = 0;
     crew = 0
  od;
  assert(turns[0] == TURNS && turns[1] == TURNS_OF_OTHERS && turns[LANES - 1] == TURNS_OF_OTHERS)
}

init {
  byte i;
  atomic {
    mem[LIST(0)] = ALL;
    started[0] = true;
    do
    :: i < LANES -> run Crew(i); run StoreBuffer(i); i++
    :: else -> break
    od;
    run Supervisor()
  }
}

# Sourced by the scripts that build weir: what they need from Debian or Ubuntu, and how it is made.

readonly weir_packages='
  g++                    compiles
  cmake                  configures
  ninja-build            runs the build
  pkgconf                finds libsndfile and KissFFT
  libsndfile1-dev        reads and writes recordings
  libkissfft-dev         Fourier transforms
  libliquid-dev          designs filters
  libpng-dev             writes pictures
  libfmt-dev             formats text
  nlohmann-json3-dev     writes reports
  libtomlplusplus-dev    reads pipeline files
  libcli11-dev           reads command lines
  libgtest-dev           runs the tests
  libgmock-dev           matchers for the tests
  libbenchmark-dev       runs the benchmarks
  spin                   checks the models of the protocols
  alsa-utils             ships the recording of the main job
'

# What `weir bench` measures weir beside; it does without those that are missing.
readonly bench_packages='
  libboost-dev              Boost.Lockfree
  libconcurrentqueue-dev    moodycamel ConcurrentQueue
  libreaderwriterqueue-dev  moodycamel ReaderWriterQueue
  libatomic-queue-dev       atomic_queue
  libtbb-dev                oneTBB
  libzmq3-dev               ZeroMQ
  iceoryx                   its daemon RouDi
  libiceoryx-posh-dev       iceoryx
  libiceoryx-hoofs-dev      iceoryx
  python3                   its multiprocessing
'

# The suite under sanitizers, and the fuzz targets.
readonly sanitizer_packages='
  clang                  compiles them, in less time than g++ takes
  libclang-rt-dev        the sanitizers and libFuzzer
  llvm                   names the places of what they find
'

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# apt_install NAME...: silent where it succeeds.
apt_install() {
  local as_root=() log
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "missing packages; as root, type: apt-get install $*"
    as_root=(sudo)
  fi
  echo "Installing, with what they need: $*"
  log=$(mktemp)
  {
    "${as_root[@]}" apt-get update -qq &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "$@"
  } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "apt-get failed; its whole output is in $log"
  }
  rm -f "$log"
}

# install_packages [LIST]: installs the packages that are missing; says nothing where none is.
install_packages() {
  local names name missing=()
  names=$(awk '{print $1}' <<<"${1-$weir_packages}")
  command -v dpkg-query >/dev/null || {
    echo "This is neither Debian nor Ubuntu: what these packages hold has to be there already:" $names
    return
  }
  for name in $names; do is_installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# The same for the contenders, but those that this system's archive does not have are only named.
install_optional_packages() {
  local name missing=()
  command -v dpkg-query >/dev/null || return 0
  for name in $(awk '{print $1}' <<<"$bench_packages"); do
    is_installed "$name" && continue
    if apt-cache show "$name" >/dev/null 2>&1; then missing+=("$name"); else echo "$name: this archive has no such package"; fi
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# configure PRESET: silent where it succeeds.
configure() {
  local log=build/$1.configure.log
  mkdir -p build
  cmake --preset "$1" >"$log" 2>&1 || {
    cat "$log" >&2
    die "CMake could not configure the preset $1"
  }
}

#!/usr/bin/env bash
# Installs weir and builds and runs tests/consumer against the installed tree, once through CMake and once
# through pkg-config. The tree is moved after the install: nothing in it may name the place it was made for.
#   install_and_consume.sh CMAKE CXX BUILD_DIR             what BUILD_DIR has built
#   install_and_consume.sh CMAKE CXX --shared SOURCE_DIR   a shared build of the core alone, made here
set -euo pipefail
cmake=$1 cxx=$2
consumer=$(dirname "$(readlink -f "$0")")/consumer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "$3" = --shared ]; then
  build=$work/build
  "$cmake" -S "$4" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Debug \
    -DBUILD_SHARED_LIBS=ON -DCMAKE_UNITY_BUILD=ON -DWEIR_ELEMENTS=OFF -DWEIR_TOOLS=OFF -DWEIR_TESTS=OFF -DWEIR_BENCH=OFF
  "$cmake" --build "$build"
else
  build=$3
fi
"$cmake" --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix"

echo "--- through CMake"
"$cmake" -S "$consumer" -B "$work/consumer" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_PREFIX_PATH="$work/prefix"
"$cmake" --build "$work/consumer"
by_cmake=$("$work/consumer/consumer")

echo "--- through pkg-config"
pc=$(find "$work/prefix" -name weir.pc)
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(pkg-config --variable=libdir weir)
read -ra flags <<<"$(pkg-config --cflags --libs weir)"
"$cxx" -std=c++20 "$consumer/main.cpp" -o "$work/by_hand" "${flags[@]}"
by_pkg_config=$(LD_LIBRARY_PATH=$libdir "$work/by_hand")

echo "$by_cmake"
[ "$by_cmake" = "$by_pkg_config" ]
[ "${by_cmake%% *}" = weir ]
[[ $("$work/prefix/bin/weir-worker" --version) = weir-worker* ]]  # a shared libweir is found

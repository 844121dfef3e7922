# How a Starling target is declared:
#
#   starling_library(base SOURCES status.cc HEADERS status.h DEPENDS absl::status)
#   starling_test(status_test SOURCES status_test.cc DEPENDS starling::base)
#   starling_fuzz(record_fuzz SOURCES record_fuzz.cc DEPENDS starling::messaging)
#
# A library's layer is its folder; a dependency on a layer that is not below is refused here, and the include
# that would need it by tools/check_layers.py.

# ccache keeps objects that use the precompiled header only when told that its macros may be trusted, and finds
# those of another checkout (a fresh clone, a worktree) only when paths below the checkout count as relative.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_PCH_EXTSUM=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

add_library(starling_options INTERFACE)
target_include_directories(starling_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(starling_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_HAS_CO_AWAIT FMT_SHARED SPDLOG_FMT_EXTERNAL SPDLOG_COMPILED_LIB)
target_compile_options(starling_options INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers -Werror=return-type -Werror=unused-result
  -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(starling_options INTERFACE -fpch-preprocess)  # what ccache needs to see the header's hash
endif()
target_compile_options(starling_options INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_link_libraries(starling_options INTERFACE Threads::Threads)

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1 -DSTARLING_DEBUG")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -DSTARLING_DEBUG")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12 guards <coroutine> by this macro, which clang 16 sets only from its own final support on.
  target_compile_options(starling_options INTERFACE -Wno-unknown-warning-option)
endif()
if(STARLING_SANITIZE)
  target_compile_options(starling_options INTERFACE -fsanitize=${STARLING_SANITIZE}
    -fno-sanitize-recover=all)
  string(REPLACE "fuzzer-no-link," "" sanitize_link "${STARLING_SANITIZE}")
  target_link_options(starling_options INTERFACE -fsanitize=${sanitize_link})
  if(STARLING_SANITIZE MATCHES "address")
    # The vptr check needs RTTI of types in libraries that ship without it.
    target_compile_options(starling_options INTERFACE -fno-sanitize=vptr)
  endif()
  if(STARLING_SANITIZE MATCHES "thread")
    target_compile_options(starling_options INTERFACE -Wno-tsan)
  endif()
endif()

find_program(MOLD mold)
if(MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_options(starling_options INTERFACE -fuse-ld=mold)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_link_options(starling_options INTERFACE -fuse-ld=lld)
endif()

# Bottom first. A target may depend on targets of its own layer's folder or of any folder before it.
set(STARLING_LAYERS
  base testing async telemetry config json tabular file sql resilience redis kv vector http blob security identity discovery rpc gateway messaging saga host
  contracts learning services apps)

# One precompiled header of the thin set, shared by every target that links async.
file(WRITE ${CMAKE_BINARY_DIR}/starling_pch.h.tmp
"#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>
#include <absl/status/statusor.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/core.h>
")
file(COPY_FILE ${CMAKE_BINARY_DIR}/starling_pch.h.tmp ${CMAKE_BINARY_DIR}/starling_pch.h ONLY_IF_DIFFERENT)

function(starling_use_pch target)
  if(TARGET starling_pch)
    target_precompile_headers(${target} REUSE_FROM starling_pch)
    target_link_libraries(${target} PRIVATE starling_pch)
  endif()
endfunction()

function(starling_define_pch)
  # Asio's own code is compiled here, once, without the precompiled header: it wants its headers in its own order.
  set(asio ${CMAKE_SOURCE_DIR}/platform/async/asio_impl.cc)
  file(TOUCH ${CMAKE_BINARY_DIR}/starling_pch.cc)
  add_library(starling_pch STATIC ${CMAKE_BINARY_DIR}/starling_pch.cc ${asio})
  set_source_files_properties(${asio} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  target_link_libraries(starling_pch PUBLIC starling_options)
  target_precompile_headers(starling_pch PRIVATE ${CMAKE_BINARY_DIR}/starling_pch.h)
  # The bytes of a precompiled header differ from one compilation to the next. ccache tells it by this file instead, which
  # says what it is made of, so that a fresh clone finds the objects of another.
  file(READ ${CMAKE_BINARY_DIR}/starling_pch.h headers)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  file(WRITE ${CMAKE_BINARY_DIR}/starling_pch.sum.tmp
    "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_CXX_FLAGS_${type}} ${STARLING_SANITIZE}
boost ${Boost_VERSION} absl ${absl_VERSION} fmt ${FMT_VERSION}
${headers}")
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/CMakeFiles/starling_pch.dir)
  file(COPY_FILE ${CMAKE_BINARY_DIR}/starling_pch.sum.tmp
    ${CMAKE_BINARY_DIR}/CMakeFiles/starling_pch.dir/cmake_pch.hxx.gch.sum ONLY_IF_DIFFERENT)
endfunction()
starling_define_pch()

function(starling_library name)
  cmake_parse_arguments(arg "NO_PCH" "LAYER" "SOURCES;HEADERS;DEPENDS;PRIVATE" ${ARGN})
  add_library(starling_${name} STATIC ${arg_SOURCES})
  add_library(starling::${name} ALIAS starling_${name})
  target_link_libraries(starling_${name} PUBLIC starling_options ${arg_DEPENDS} PRIVATE ${arg_PRIVATE})
  if(NOT arg_NO_PCH)
    starling_use_pch(starling_${name})
  endif()
  if(NOT arg_LAYER)
    set(arg_LAYER ${name})
  endif()
  set_target_properties(starling_${name} PROPERTIES STARLING_LAYER ${arg_LAYER})
  starling_check_layers(starling_${name} ${arg_LAYER} ${arg_DEPENDS} ${arg_PRIVATE})
endfunction()

function(starling_check_layers target layer)
  list(FIND STARLING_LAYERS ${layer} own)
  if(own EQUAL -1)
    message(FATAL_ERROR "${target}: layer '${layer}' is unknown; known are ${STARLING_LAYERS}")
  endif()
  foreach(dependency ${ARGN})
    if(dependency MATCHES "^starling::(.+)$")
      if(NOT TARGET starling_${CMAKE_MATCH_1})
        message(FATAL_ERROR "${target} depends on ${dependency}, which is not declared before it")
      endif()
      get_target_property(below starling_${CMAKE_MATCH_1} STARLING_LAYER)
      list(FIND STARLING_LAYERS ${below} position)
      if(position GREATER own)
        message(FATAL_ERROR "${target} (layer ${layer}) may not depend on ${dependency} (layer ${below}): "
          "folders point one way, ${STARLING_LAYERS}")
      endif()
      if(layer STREQUAL "services" AND below STREQUAL "services" AND NOT target MATCHES "_test$")
        message(FATAL_ERROR "${target} may not depend on ${dependency}: a service owns its data, ask by contract")
      endif()
    endif()
  endforeach()
endfunction()

# A GoogleTest binary. SERIAL: runs alone (it measures memory or takes fixed resources). TIMEOUT in seconds.
# DATA: also passes STARLING_BINARY (the starling executable) in the environment, so it must be built first.
function(starling_test name)
  cmake_parse_arguments(arg "SERIAL;NEEDS_BINARY" "TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  if(STARLING_FUZZ)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE starling_options ${arg_DEPENDS} GTest::gmock GTest::gtest_main)
  starling_use_pch(${name})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
  if(arg_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
  if(arg_NEEDS_BINARY)
    add_dependencies(${name} starling)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "STARLING_BINARY=${CMAKE_BINARY_DIR}/starling")
  endif()
endfunction()

# A libFuzzer binary over LLVMFuzzerTestOneInput; built only by the fuzz preset. Seeds: fuzz_seeds/<name>/ beside it.
function(starling_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT STARLING_FUZZ)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE starling_options ${arg_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY STARLING_FUZZERS ${name})
endfunction()

# A Google Benchmark binary in bench/.
function(starling_benchmark name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  if(STARLING_FUZZ)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE starling_options ${arg_DEPENDS} benchmark::benchmark)
  starling_use_pch(${name})
endfunction()

# Files as bytes in the binary: starling_embed(catalog_migrations NAMESPACE starling::catalog NAME kMigrations
# FILES migrations/0001_products.sql ...) gives header generated/embedded/<target>.h with
#   extern const std::span<const starling::EmbeddedFile> kMigrations;   // in the files' order
function(starling_embed target)
  cmake_parse_arguments(arg "" "NAMESPACE;NAME" "FILES" ${ARGN})
  set(header ${CMAKE_BINARY_DIR}/generated/embedded/${target}.h)
  set(source ${CMAKE_BINARY_DIR}/generated/embedded/${target}.cc)
  list(TRANSFORM arg_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ OUTPUT_VARIABLE files)
  add_custom_command(OUTPUT ${header} ${source}
    COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/embed.py --namespace ${arg_NAMESPACE} --name ${arg_NAME}
      --header ${header} --source ${source} --include embedded/${target}.h ${files}
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/tools/embed.py)
  add_library(${target} STATIC ${source} ${header})
  target_link_libraries(${target} PUBLIC starling_options starling::base)
endfunction()

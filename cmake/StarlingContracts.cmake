# From a contract to C++:
#
#   starling_proto(catalog PROTOS contracts/catalog/v1/catalog.proto DEPENDS starling::googleapis)
#
# gives two libraries, their code in ${CMAKE_BINARY_DIR}/generated beside the .proto's own path:
#   starling::catalog_messages   what protoc itself writes: <base>.pb.h, .pb.cc
#   starling::catalog            what protoc-gen-starling writes (STARLING_CONTRACT_SUFFIXES), on top of the messages
#
# PROTOS are relative to ROOT, which is the repository when absent. DEPENDS: the libraries of what the .protos import
# (their _messages are found by name), and what the generated code calls. LAYER: contracts when absent.

# Every .proto gets each of these files, empty ones if need be, so that the build knows them beforehand.
set(STARLING_CONTRACT_SUFFIXES .json.h .json.cc .service.h .binding.cc)

set(STARLING_GENERATED ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${STARLING_GENERATED})

# Under the thread sanitizer map_field.h gives every map two more members, of which the installed libprotobuf, built
# without it, knows nothing: reading a map would crash. A header of the same name, found first, hides the sanitizer
# from that one header.
if(STARLING_SANITIZE MATCHES "thread")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/protobuf_tsan/google/protobuf/map_field.h @ONLY CONTENT
"#pragma GCC system_header
#pragma push_macro(\"__SANITIZE_THREAD__\")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro(\"__SANITIZE_THREAD__\")
")
  target_include_directories(starling_options SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/protobuf_tsan)
endif()

# google/api/*.proto and google/rpc/*.proto come in a Python wheel.
file(GLOB STARLING_GOOGLEAPIS_FOUND ${CMAKE_SOURCE_DIR}/build/venv/lib/python3*/site-packages/google/api/http.proto)
if(STARLING_GOOGLEAPIS_FOUND)
  list(GET STARLING_GOOGLEAPIS_FOUND 0 STARLING_GOOGLEAPIS_DIR)
  string(REPLACE "/google/api/http.proto" "" STARLING_GOOGLEAPIS_DIR ${STARLING_GOOGLEAPIS_DIR})
else()
  message(FATAL_ERROR "google/api/http.proto is not in build/venv: run ./dev setup, which installs "
    "googleapis-common-protos there")
endif()

# Declares how `outputs` are made of one .proto by protoc with `ARGN`; again when an imported .proto changes.
function(starling_protoc proto root outputs)
  list(GET outputs 0 first)
  # The wheel is inside the repository, so its folder comes first: names are taken from the first that fits.
  # Leaks of a code generator are of no interest, also when it was built with the address sanitizer.
  add_custom_command(OUTPUT ${outputs}
    COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
      ${PROTOC} -I${STARLING_GOOGLEAPIS_DIR} -I${CMAKE_SOURCE_DIR} --dependency_out=${first}.d ${ARGN}
      ${root}/${proto}
    DEPFILE ${first}.d
    DEPENDS ${root}/${proto} ${STARLING_PROTOC_DEPENDS}
    COMMENT "Generating from ${proto}"
    VERBATIM)
endfunction()

# A static library of generated sources: no warnings, headers are system headers to who includes them.
function(starling_generated_library name layer sources)
  add_library(starling_${name} STATIC ${sources})
  add_library(starling::${name} ALIAS starling_${name})
  target_compile_options(starling_${name} PRIVATE -w)
  target_include_directories(starling_${name} SYSTEM PUBLIC ${STARLING_GENERATED})
  target_link_libraries(starling_${name} PUBLIC starling_options protobuf::libprotobuf ${ARGN})
  set_target_properties(starling_${name} PROPERTIES STARLING_LAYER ${layer})
endfunction()

function(starling_proto name)
  cmake_parse_arguments(arg "" "ROOT;LAYER" "PROTOS;DEPENDS" ${ARGN})
  if(NOT arg_ROOT)
    set(arg_ROOT ${CMAKE_SOURCE_DIR})
  endif()
  if(NOT arg_LAYER)
    set(arg_LAYER contracts)
  endif()
  foreach(proto ${arg_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" base ${STARLING_GENERATED}/${proto})
    set(messages ${base}.pb.cc ${base}.pb.h)
    list(APPEND message_sources ${messages})
    set(STARLING_PROTOC_DEPENDS "")
    starling_protoc(${proto} ${arg_ROOT} "${messages}" --cpp_out=${STARLING_GENERATED})
    list(TRANSFORM STARLING_CONTRACT_SUFFIXES PREPEND ${base} OUTPUT_VARIABLE contract)
    list(SORT contract)  # as in the depfile, whose first output must be the command's first
    list(APPEND contract_sources ${contract})
    set(STARLING_PROTOC_DEPENDS protoc-gen-starling)
    starling_protoc(${proto} ${arg_ROOT} "${contract}"
      --plugin=protoc-gen-starling=$<TARGET_FILE:protoc-gen-starling> --starling_out=${STARLING_GENERATED})
  endforeach()

  set(imported "")
  foreach(dependency ${arg_DEPENDS})
    if(TARGET ${dependency}_messages)
      list(APPEND imported ${dependency}_messages)
    endif()
  endforeach()
  starling_generated_library(${name}_messages ${arg_LAYER} "${message_sources}" ${imported})
  starling_generated_library(${name} ${arg_LAYER} "${contract_sources}"
    starling::${name}_messages starling::json ${arg_DEPENDS})
  starling_check_layers(starling_${name} ${arg_LAYER} starling::json ${arg_DEPENDS})
endfunction()

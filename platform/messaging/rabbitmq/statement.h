// What a process says of a topic in the stream "<topic>:groups": which groups it runs, and how far
// it knows each group to be. Within rabbitmq only. Its bytes (wire.h):
//
//   statement := version:u8 (1) from:text number:u64 running:u16 { group:text }
//                groups:u16 { group:text partitions:u16 { next:u64 } }
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "platform/base/status.h"

namespace starling::messaging::rabbitmq {

// A group's next offset by partition; 0 where it has accepted nothing yet.
using Offsets = std::vector<uint64_t>;

struct Statement {
  std::string from;     // the process
  uint64_t number = 0;  // grows with each of a process' statements about a topic
  std::set<std::string> running;
  std::map<std::string, Offsets> offsets;  // by group
  bool operator==(const Statement&) const = default;
};

std::string EncodeStatement(const Statement& statement);
// DATA_LOSS for what EncodeStatement did not write. Reads foreign bytes safely.
StatusOr<Statement> DecodeStatement(std::string_view bytes);

// The farther of both, by partition. Statements may be merged in any order, and twice.
void Merge(const Offsets& other, Offsets& offsets);

}  // namespace starling::messaging::rabbitmq

// What is wrong with a configuration: every mistake at once, each with where it stands and what is
// expected.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/config/node.h"

namespace starling::config {

struct Problem {
  std::string source;   // "starling.yaml:3:9", "STARLING_HTTP_PORT", "--set http.port"
  std::string key;      // "http.port"; "" when it is about the whole source
  std::string message;  // "'eighty' is not an integer; expected 0 to 65535"
};

class Problems {
 public:
  static constexpr size_t kMax = 100;  // the rest is counted

  void Add(const Origin& origin, std::string_view key, std::string message);
  bool empty() const { return list_.empty(); }
  // One more is only counted: no need to find good words for it.
  bool full() const { return list_.size() >= kMax; }
  size_t size() const { return list_.size() + more_; }
  const std::vector<Problem>& list() const { return list_; }
  // OK, or INVALID_ARGUMENT with one field violation a problem.
  Status ToStatus() const;

 private:
  std::vector<Problem> list_;
  size_t more_ = 0;
};

// A value as an error shows it: in quotes, at most 60 bytes, control characters as \xNN.
std::string Quoted(std::string_view value);

}  // namespace starling::config

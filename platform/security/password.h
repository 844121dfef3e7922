// Passwords, stored as argon2id (RFC 9106) and checked in constant time.
//
//   PasswordHasher passwords;  // one a process
//   auto hash = co_await pool.Run([&] { return passwords.Hash(password); });
//   auto check = co_await pool.Run([&] {
//     return user ? passwords.Verify(password, user->hash) : passwords.VerifyNothing(password);
//   });
//   if (check.ok() && check->right) ...
//
// The stored text carries its parameters ("$argon2id$v=19$m=19456,t=2,p=1$salt$hash"): raising the
// parameters keeps old hashes valid, and Verify says when one should be made anew. Defaults are
// OWASP's minimum (19 MiB, two passes): about 30 ms of one core. Both calls BLOCK: run them on the
// BlockingPool, never on an io thread.
//
// Bound: at most `max_concurrent` hashes run at once (memory is 19 MiB each); up to `max_waiting`
// calls wait for one to end, for at most `max_wait`; beyond either, UNAVAILABLE with reason
// OVERLOADED and a retry delay.
//
// Nobody can learn which users exist by timing: for an unknown user call VerifyNothing, which costs
// the same and fails with the same status. Passwords and hashes never appear in a message.
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::security {

struct PasswordParameters {
  uint32_t memory_kib = 19 * 1024;
  uint32_t passes = 2;
  uint32_t lanes = 1;
};

// The rules a new password must keep: 8 to 1024 bytes of UTF-8 without control characters (NIST SP
// 800-63B, 5.1.1.2: length counts, composition rules do not). INVALID_ARGUMENT names the field
// "password" and the rule, not the password.
Status CheckPassword(std::string_view password);

struct PasswordCheck {
  bool right = false;
  bool rehash =
      false;  // right, but stored with weaker parameters than today's: store Hash(password) anew
};

class PasswordHasher {
 public:
  struct Options {
    PasswordParameters parameters;
    int max_concurrent = 2;
    int max_waiting = 64;
    Duration max_wait = std::chrono::seconds(5);
  };
  PasswordHasher();
  explicit PasswordHasher(Options options);
  PasswordHasher(const PasswordHasher&) = delete;
  PasswordHasher& operator=(const PasswordHasher&) = delete;

  // INVALID_ARGUMENT when the password breaks a rule.
  StatusOr<std::string> Hash(std::string_view password);
  // DATA_LOSS when `stored` is no argon2id hash, or asks for more than 1 GiB, 16 passes or 16
  // lanes.
  StatusOr<PasswordCheck> Verify(std::string_view password, const std::string& stored);
  // As a Verify that fails: the same time, never right.
  StatusOr<PasswordCheck> VerifyNothing(std::string_view password);

 private:
  class Turn;
  const Options options_;
  std::string nothing_;  // a hash that no password has
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;
  int waiting_ = 0;
};

}  // namespace starling::security

#include "platform/security/password.h"

#include <argon2.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "platform/base/id.h"

namespace starling::security {
namespace {

constexpr size_t kMinPassword = 8;
constexpr size_t kMaxPassword = 1024;
constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 32;
constexpr size_t kMaxStored = 512;
// What a stored hash may ask for: a damaged or planted one must not take the machine's memory.
constexpr PasswordParameters kMost = {.memory_kib = 1 << 20, .passes = 16, .lanes = 16};

bool TakeNumber(std::string_view& text, std::string_view label, uint32_t& number) {
  if (!text.starts_with(label)) return false;
  text.remove_prefix(label.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(end - text.data());
  return true;
}

std::optional<PasswordParameters> StoredParameters(std::string_view stored) {
  PasswordParameters parameters;
  if (stored.size() > kMaxStored ||
      !TakeNumber(stored, "$argon2id$v=19$m=", parameters.memory_kib) ||
      !TakeNumber(stored, ",t=", parameters.passes) ||
      !TakeNumber(stored, ",p=", parameters.lanes) || !stored.starts_with('$') ||
      parameters.memory_kib > kMost.memory_kib || parameters.passes > kMost.passes ||
      parameters.lanes > kMost.lanes) {
    return std::nullopt;
  }
  return parameters;
}

// Base64 as the encoded form of argon2 has it: the standard alphabet, no padding.
std::string RandomBase64(size_t bytes) {
  std::string text = RandomToken(bytes);
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  return text;
}

}  // namespace

Status CheckPassword(std::string_view password) {
  if (password.size() < kMinPassword)
    return InvalidField("password", "is shorter than {} bytes", kMinPassword);
  if (password.size() > kMaxPassword)
    return InvalidField("password", "is longer than {} bytes", kMaxPassword);
  if (!simdjson::validate_utf8(password.data(), password.size()))
    return InvalidField("password", "is not UTF-8");
  for (const unsigned char c : password) {
    if (c < 0x20 || c == 0x7f) return InvalidField("password", "has a control character in it");
  }
  return OkStatus();
}

// The right to hash, until destroyed.
class PasswordHasher::Turn {
 public:
  static StatusOr<Turn> Take(PasswordHasher& hasher) {
    const Options& options = hasher.options_;
    std::unique_lock lock(hasher.mutex_);
    const auto free = [&] { return hasher.running_ < options.max_concurrent; };
    if (!free()) {
      if (hasher.waiting_ >= options.max_waiting) {
        return Overloaded(
            fmt::format("{} password checks wait already, the limit", hasher.waiting_),
            std::chrono::seconds(1));
      }
      ++hasher.waiting_;
      const bool got = hasher.ended_.wait_for(lock, options.max_wait, free);
      --hasher.waiting_;
      if (!got) {
        return Overloaded("no password check ended in " + FormatDuration(options.max_wait),
                          std::chrono::seconds(1));
      }
    }
    ++hasher.running_;
    return Turn(&hasher);
  }
  Turn(Turn&& other) noexcept : hasher_(std::exchange(other.hasher_, nullptr)) {}
  Turn& operator=(Turn&& other) noexcept {
    std::swap(hasher_, other.hasher_);
    return *this;
  }
  ~Turn() {
    if (hasher_ == nullptr) return;
    {
      const std::lock_guard lock(hasher_->mutex_);
      --hasher_->running_;
    }
    hasher_->ended_.notify_one();
  }

 private:
  explicit Turn(PasswordHasher* hasher) : hasher_(hasher) {}
  PasswordHasher* hasher_;
};

PasswordHasher::PasswordHasher() : PasswordHasher(Options{}) {}

PasswordHasher::PasswordHasher(Options options) : options_(options) {
  const PasswordParameters& p = options_.parameters;
  nothing_ = fmt::format("$argon2id$v=19$m={},t={},p={}${}${}", p.memory_kib, p.passes, p.lanes,
                         RandomBase64(kSaltBytes), RandomBase64(kHashBytes));
}

StatusOr<std::string> PasswordHasher::Hash(std::string_view password) {
  STARLING_RETURN_IF_ERROR(CheckPassword(password));
  STARLING_ASSIGN_OR_RETURN(const Turn turn, Turn::Take(*this));
  const PasswordParameters& p = options_.parameters;
  char salt[kSaltBytes];
  SecureRandom(salt, sizeof(salt));
  std::string encoded(
      argon2_encodedlen(p.passes, p.memory_kib, p.lanes, kSaltBytes, kHashBytes, Argon2_id), '\0');
  const int error =
      argon2id_hash_encoded(p.passes, p.memory_kib, p.lanes, password.data(), password.size(), salt,
                            kSaltBytes, kHashBytes, encoded.data(), encoded.size());
  if (error == ARGON2_MEMORY_ALLOCATION_ERROR) {
    return ResourceExhausted("no {} KiB of memory for a password hash", p.memory_kib);
  }
  if (error != ARGON2_OK)
    return Internal("argon2 refused to hash: {}", argon2_error_message(error));
  encoded.resize(encoded.find('\0'));
  return encoded;
}

StatusOr<PasswordCheck> PasswordHasher::Verify(std::string_view password,
                                               const std::string& stored) {
  const std::optional<PasswordParameters> parameters = StoredParameters(stored);
  if (!parameters) {
    return DataLoss(
        "a stored password hash is no argon2id hash within the limits; set the password anew");
  }
  // Hash never made one of such a password, whoever it is for.
  if (password.size() > kMaxPassword) return PasswordCheck{};
  STARLING_ASSIGN_OR_RETURN(const Turn turn, Turn::Take(*this));
  const int error = argon2id_verify(stored.c_str(), password.data(), password.size());
  if (error == ARGON2_VERIFY_MISMATCH) return PasswordCheck{};
  if (error == ARGON2_MEMORY_ALLOCATION_ERROR) {
    return ResourceExhausted("no {} KiB of memory for a password check", parameters->memory_kib);
  }
  if (error != ARGON2_OK)
    return DataLoss("a stored password hash is damaged: {}", argon2_error_message(error));
  const PasswordParameters& today = options_.parameters;
  return PasswordCheck{
      .right = true,
      .rehash = parameters->memory_kib < today.memory_kib || parameters->passes < today.passes};
}

StatusOr<PasswordCheck> PasswordHasher::VerifyNothing(std::string_view password) {
  STARLING_ASSIGN_OR_RETURN(PasswordCheck check, Verify(password, nothing_));
  check = {};
  return check;
}

}  // namespace starling::security

// Identifiers and random numbers.
//
//   std::string id = NewId();        // "0192f0c1d2e37a4b8c5d6e7f80912a3b", sorts by time (RFC 9562
//   UUIDv7, no dashes) std::string token = RandomToken(32);  // 32 bytes of the kernel's entropy,
//   base64url without padding: 43 characters
//
// Thread-safe. NewId and FastRandom use a generator per thread, seeded by the kernel: about 5 ns,
// not for secrets. RandomToken asks the kernel each time: about 500 ns, for secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace starling {

uint64_t FastRandom();
std::string NewId();
std::string RandomToken(size_t bytes);
// Fills from getrandom(2). Ends the process when the kernel refuses, which it does only on a broken
// machine.
void SecureRandom(void* out, size_t size);

std::string ToHex(std::string_view bytes);
std::string Base64UrlEncode(std::string_view bytes);
// False for characters outside the alphabet and impossible lengths; padding is optional.
bool Base64UrlDecode(std::string_view text, std::string& bytes);

}  // namespace starling

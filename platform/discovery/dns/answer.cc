#include "platform/discovery/dns/answer.h"

#include <ares.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace starling::discovery::dns {
namespace {

constexpr int kMaxRecords = 1024;

const unsigned char* Bytes(std::string_view answer) {
  return reinterpret_cast<const unsigned char*>(answer.data());
}
int Size(std::string_view answer) { return static_cast<int>(answer.size()); }

Status Unreadable(int error) {
  return DataLoss("the DNS answer cannot be read: {}", ares_strerror(error));
}

uint32_t Number(std::string_view bytes, size_t at, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; ++i)
    number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

// The position after the name that begins at `at`.
std::optional<size_t> SkipName(std::string_view answer, size_t at) {
  if (at >= answer.size()) return std::nullopt;
  char* name = nullptr;
  long length = 0;
  if (ares_expand_name(Bytes(answer) + at, Bytes(answer), Size(answer), &name, &length) !=
      ARES_SUCCESS)
    return std::nullopt;
  ares_free_string(name);
  return at + static_cast<size_t>(length);
}

// The shortest time to live in the answer section: c-ares 1.18 does not give it for SRV.
StatusOr<uint32_t> ShortestTtl(std::string_view answer) {
  constexpr size_t kHead = 12;
  if (answer.size() < kHead) return Unreadable(ARES_EBADRESP);
  size_t at = kHead;
  for (uint32_t left = Number(answer, 4, 2); left > 0; --left) {
    const std::optional<size_t> end = SkipName(answer, at);
    if (!end) return Unreadable(ARES_EBADRESP);
    at = *end + 4;  // type, class
  }
  uint32_t shortest = std::numeric_limits<uint32_t>::max();
  for (uint32_t left = Number(answer, 6, 2); left > 0; --left) {
    const std::optional<size_t> end = SkipName(answer, at);
    if (!end || *end + 10 > answer.size()) return Unreadable(ARES_EBADRESP);
    shortest = std::min(shortest, Number(answer, *end + 4, 4));
    at = *end + 10 + Number(answer, *end + 8, 2);
  }
  return shortest;
}

}  // namespace

StatusOr<Addresses> ReadA(std::string_view answer) {
  std::array<ares_addrttl, kMaxRecords> records;
  int count = kMaxRecords;
  const int error =
      ares_parse_a_reply(Bytes(answer), Size(answer), nullptr, records.data(), &count);
  if (error == ARES_ENODATA) return Addresses();
  if (error != ARES_SUCCESS) return Unreadable(error);
  Addresses addresses{.hosts = {}, .ttl = std::numeric_limits<uint32_t>::max()};
  for (int i = 0; i < count; ++i) {
    std::array<char, INET_ADDRSTRLEN> text;
    inet_ntop(AF_INET, &records[i].ipaddr, text.data(), text.size());
    addresses.hosts.emplace_back(text.data());
    addresses.ttl = std::min(addresses.ttl, static_cast<uint32_t>(std::max(records[i].ttl, 0)));
  }
  return addresses;
}

StatusOr<Addresses> ReadAaaa(std::string_view answer) {
  std::array<ares_addr6ttl, kMaxRecords> records;
  int count = kMaxRecords;
  const int error =
      ares_parse_aaaa_reply(Bytes(answer), Size(answer), nullptr, records.data(), &count);
  if (error == ARES_ENODATA) return Addresses();
  if (error != ARES_SUCCESS) return Unreadable(error);
  Addresses addresses{.hosts = {}, .ttl = std::numeric_limits<uint32_t>::max()};
  for (int i = 0; i < count; ++i) {
    std::array<char, INET6_ADDRSTRLEN> text;
    inet_ntop(AF_INET6, &records[i].ip6addr, text.data(), text.size());
    addresses.hosts.push_back(fmt::format("[{}]", text.data()));
    addresses.ttl = std::min(addresses.ttl, static_cast<uint32_t>(std::max(records[i].ttl, 0)));
  }
  return addresses;
}

StatusOr<Targets> ReadSrv(std::string_view answer) {
  ares_srv_reply* first = nullptr;
  const int error = ares_parse_srv_reply(Bytes(answer), Size(answer), &first);
  if (error == ARES_ENODATA) return Targets();
  if (error != ARES_SUCCESS) return Unreadable(error);
  Targets targets;
  for (const ares_srv_reply* record = first; record != nullptr; record = record->next) {
    // An empty target says that there is no such service here.
    if (std::string_view(record->host).empty()) continue;
    targets.targets.push_back({.host = record->host,
                               .priority = record->priority,
                               .weight = record->weight,
                               .port = record->port});
  }
  ares_free_data(first);
  STARLING_ASSIGN_OR_RETURN(targets.ttl, ShortestTtl(answer));
  return targets;
}

}  // namespace starling::discovery::dns

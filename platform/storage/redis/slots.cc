#include "platform/storage/redis/slots.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace starling::redis {
namespace {

constexpr std::array<uint16_t, 256> MakeTable() {
  std::array<uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021U : 0U);
    table[byte] = static_cast<uint16_t>(crc);
  }
  return table;
}
constexpr std::array<uint16_t, 256> kTable = MakeTable();

}  // namespace

uint16_t SlotOf(std::string_view key) {
  if (const size_t open = key.find('{'); open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1)
      key = key.substr(open + 1, close - open - 1);
  }
  unsigned crc = 0;
  for (const char c : key)
    crc = (crc << 8 & 0xffff) ^ kTable[(crc >> 8 ^ static_cast<unsigned char>(c)) & 0xff];
  return static_cast<uint16_t>(crc % kSlots);
}

std::optional<Redirect> ParseRedirect(std::string_view error, const Address& asked) {
  Redirect redirect;
  if (error.starts_with("ASK ")) {
    redirect.ask = true;
    error.remove_prefix(4);
  } else if (error.starts_with("MOVED ")) {
    error.remove_prefix(6);
  } else {
    return std::nullopt;
  }
  const size_t space = error.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto [end, wrong] = std::from_chars(error.data(), error.data() + space, redirect.slot);
  if (wrong != std::errc() || end != error.data() + space || redirect.slot >= kSlots)
    return std::nullopt;
  std::string node(error.substr(space + 1));
  if (node.rfind(':') == 0) node = asked.host + node;
  auto address = ParseAddress(node);
  if (!address.ok()) return std::nullopt;
  redirect.node = *std::move(address);
  return redirect;
}

const Address* SlotMap::Find(uint16_t slot) const {
  if (owner_.empty() || owner_[slot] == kUnknown) return nullptr;
  return &nodes_[owner_[slot]];
}

uint16_t SlotMap::IndexOf(const Address& node) {
  const auto found = std::find(nodes_.begin(), nodes_.end(), node);
  if (found != nodes_.end()) return static_cast<uint16_t>(found - nodes_.begin());
  nodes_.push_back(node);
  return static_cast<uint16_t>(nodes_.size() - 1);
}

void SlotMap::Set(uint16_t slot, const Address& node) {
  if (owner_.empty()) owner_.assign(kSlots, kUnknown);
  owner_[slot] = IndexOf(node);
}

void SlotMap::Forget(const Address& node) {
  const auto found = std::find(nodes_.begin(), nodes_.end(), node);
  if (found == nodes_.end()) return;
  const auto index = static_cast<uint16_t>(found - nodes_.begin());
  std::replace(owner_.begin(), owner_.end(), index, kUnknown);
}

void SlotMap::Fill(const ReplyView& slots, const Address& asked) {
  if (slots.size() == 0) return;
  owner_.assign(kSlots, kUnknown);
  nodes_.clear();
  for (size_t i = 0; i < slots.size(); ++i) {
    const ReplyView range = slots[i];
    if (range.size() < 3 || range[2].size() < 2) continue;
    const int64_t first = range[0].integer();
    const int64_t last = range[1].integer();
    const int64_t port = range[2][1].integer();
    if (first < 0 || last < first || last >= kSlots || port < 1 || port > 65'535) continue;
    const std::string_view host = range[2][0].text();
    const Address node{host.empty() ? asked.host : std::string(host), static_cast<uint16_t>(port)};
    const uint16_t index = IndexOf(node);
    std::fill(owner_.begin() + first, owner_.begin() + last + 1, index);
  }
}

}  // namespace starling::redis

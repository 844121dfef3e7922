// Where a key of a cluster is: 16,384 slots, each on one node (Redis Cluster Specification).
//
//   SlotMap map;
//   map.Fill(reply_to_cluster_slots, node_asked);
//   const Address* node = map.Find(SlotOf("{starling/features}:values"));   // nullptr: not known
//
// Used by one thread. 32 KiB once it is known that there is a cluster.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "platform/storage/redis/reply.h"
#include "platform/storage/redis/url.h"

namespace starling::redis {

inline constexpr uint16_t kSlots = 16'384;

// CRC-16/XMODEM of the key's hash tag (what is within the first braces, when it is not empty) or of
// all of it.
uint16_t SlotOf(std::string_view key);

// An answer that sends the caller to another node: "MOVED 3999 127.0.0.1:6381", "ASK ...".
struct Redirect {
  uint16_t slot = 0;
  Address node;
  bool ask = false;  // only this time, and with ASKING before
};
// `asked` answered: the host when the answer leaves it out.
std::optional<Redirect> ParseRedirect(std::string_view error, const Address& asked);

class SlotMap {
 public:
  const Address* Find(uint16_t slot) const;
  void Set(uint16_t slot, const Address& node);
  // Forgets which slots are on a node that does not answer.
  void Forget(const Address& node);
  // From the reply to CLUSTER SLOTS; what cannot be read is left out.
  void Fill(const ReplyView& slots, const Address& asked);
  // Every node that was told of.
  const std::vector<Address>& nodes() const { return nodes_; }

 private:
  static constexpr uint16_t kUnknown = 0xffff;
  uint16_t IndexOf(const Address& node);

  std::vector<uint16_t> owner_;  // of each slot, an index of nodes_; empty at first
  std::vector<Address> nodes_;
};

}  // namespace starling::redis

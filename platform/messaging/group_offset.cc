#include "platform/messaging/group_offset.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "platform/base/hash.h"
#include "platform/messaging/wire.h"

namespace starling::messaging {
namespace {
constexpr size_t kSlot = 8 + 8 + 4;
}

StatusOr<std::unique_ptr<GroupOffset>> GroupOffset::Open(const std::filesystem::path& path,
                                                         uint64_t start) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return FailedPrecondition("{} cannot be opened: {}", path.string(),
                              std::generic_category().message(errno));
  }
  auto group = std::unique_ptr<GroupOffset>(new GroupOffset(path, file));
  char bytes[2 * kSlot] = {};
  const ssize_t size = pread(file, bytes, sizeof bytes, 0);
  for (size_t slot = 0; slot < 2 && size >= static_cast<ssize_t>((slot + 1) * kSlot); ++slot) {
    std::string_view rest(bytes + slot * kSlot, kSlot);
    const uint32_t expected = Crc32c(rest.substr(0, 16));
    uint64_t generation = 0, offset = 0;
    uint32_t checksum = 0;
    wire::Take(rest, generation);
    wire::Take(rest, offset);
    wire::Take(rest, checksum);
    if (checksum == expected && generation > group->generation_) {
      group->generation_ = generation;
      group->offset_ = offset;
    }
  }
  if (group->generation_ == 0) {
    if (size > 0) {
      // Both slots are damaged: from the start again, since consumers know what they have seen.
      group->offset_ = 1;
    } else {
      STARLING_RETURN_IF_ERROR(group->Commit(start));
    }
  }
  return group;
}

GroupOffset::~GroupOffset() { close(file_); }

Status GroupOffset::Commit(uint64_t offset) {
  std::string slot;
  wire::Append(generation_ + 1, slot);
  wire::Append(offset, slot);
  wire::Append(Crc32c(slot), slot);
  const auto place = static_cast<off_t>((generation_ % 2) * kSlot);
  if (pwrite(file_, slot.data(), slot.size(), place) != static_cast<ssize_t>(slot.size())) {
    return Unavailable("{} cannot be written: {}", path_.string(),
                       std::generic_category().message(errno));
  }
  ++generation_;
  offset_ = offset;
  return OkStatus();
}

}  // namespace starling::messaging

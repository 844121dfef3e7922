#include "learning/artifact.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "platform/base/hash.h"

namespace starling::learning {
namespace {

static_assert(std::endian::native == std::endian::little,
              "sections are used where they lie, so the machine must be little-endian");

constexpr size_t kAlignment = 64;
constexpr std::string_view kMagic = "STRLMODL";

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t sections;
  uint64_t size;
  char kind[16];
  uint32_t checksum;
  char zero[20];
};
static_assert(sizeof(Header) == kAlignment);

struct Entry {
  char name[24];
  uint32_t type;
  uint32_t checksum;
  uint64_t rows;
  uint64_t columns;
  uint64_t offset;
  char zero[8];
};
static_assert(sizeof(Entry) == kAlignment);

size_t Padded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

uint32_t Checksum(std::string_view header_and_entries) {
  Header header;
  std::memcpy(&header, header_and_entries.data(), sizeof(header));
  header.checksum = 0;
  const uint32_t crc = Crc32c({reinterpret_cast<const char*>(&header), sizeof(header)});
  return Crc32c(header_and_entries.substr(sizeof(header)), crc);
}

// The text before the zeros; it points into `text`.
template <size_t kSize>
std::string_view Text(const char (&text)[kSize]) {
  return {text, static_cast<size_t>(std::find(text, text + kSize, '\0') - text)};
}

template <size_t kSize>
void SetText(std::string_view text, char (&to)[kSize]) {
  std::memcpy(to, text.data(), std::min(text.size(), kSize));
}

void Require(bool holds, std::string_view what, std::string_view name) {
  if (!holds) {
    fmt::print(stderr, "artifact section '{}': {}\n", name, what);
    std::abort();
  }
}

}  // namespace

size_t ElementSize(ElementType type) {
  switch (type) {
    case ElementType::kU8:
      return 1;
    case ElementType::kU32:
    case ElementType::kF32:
      return 4;
    case ElementType::kU64:
    case ElementType::kI64:
    case ElementType::kF64:
      return 8;
  }
  return 0;
}

std::string_view Name(ElementType type) {
  static constexpr std::string_view kNames[] = {"unknown", "u8", "u32", "u64", "i64", "f32", "f64"};
  const auto index = static_cast<size_t>(type);
  return index < std::size(kNames) ? kNames[index] : kNames[0];
}

ArtifactWriter::ArtifactWriter(std::string_view kind) : kind_(kind) {
  Require(!kind.empty() && kind.size() <= sizeof(Header::kind), "a kind has 1 to 16 bytes", kind);
}

void ArtifactWriter::AddBytes(std::string_view name, ElementType type,
                              std::span<const std::byte> bytes, size_t rows, size_t columns) {
  Require(!name.empty() && name.size() <= sizeof(Entry::name), "a name has 1 to 24 bytes", name);
  Require(bytes.size() == rows * columns * ElementSize(type), "not rows * columns values", name);
  Require(std::none_of(sections_.begin(), sections_.end(),
                       [&](const Section& section) { return section.name == name; }),
          "added twice", name);
  sections_.push_back({std::string(name), type, bytes, rows, columns});
}

std::string ArtifactWriter::Finish() && {
  size_t size = sizeof(Header) + sections_.size() * sizeof(Entry);
  for (const Section& section : sections_) {
    size += Padded(section.bytes.size());
  }
  std::string bytes(size, '\0');
  Header header = {};
  SetText(kMagic, header.magic);
  header.version = kArtifactVersion;
  header.sections = static_cast<uint32_t>(sections_.size());
  header.size = size;
  SetText(kind_, header.kind);

  size_t offset = sizeof(Header) + sections_.size() * sizeof(Entry);
  for (size_t i = 0; i < sections_.size(); ++i) {
    const Section& section = sections_[i];
    if (!section.bytes.empty()) {
      std::memcpy(bytes.data() + offset, section.bytes.data(), section.bytes.size());
    }
    Entry entry = {};
    SetText(section.name, entry.name);
    entry.type = static_cast<uint32_t>(section.type);
    entry.rows = section.rows;
    entry.columns = section.columns;
    entry.offset = offset;
    entry.checksum = Crc32c(std::string_view(bytes).substr(offset, Padded(section.bytes.size())));
    std::memcpy(bytes.data() + sizeof(Header) + i * sizeof(Entry), &entry, sizeof(entry));
    offset += Padded(section.bytes.size());
  }
  std::memcpy(bytes.data(), &header, sizeof(header));
  header.checksum = Checksum(
      std::string_view(bytes).substr(0, sizeof(Header) + sections_.size() * sizeof(Entry)));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

StatusOr<Artifact> Artifact::Open(std::span<const std::byte> bytes,
                                  std::shared_ptr<const void> owner, Checksums checksums) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(uint64_t) != 0) {
    return InvalidField("bytes",
                        "the address is not a multiple of 8; map the file, or copy it into "
                        "memory from the allocator");
  }
  if (bytes.size() < sizeof(Header)) {
    return DataLoss("the model has {} bytes and its header alone takes {}; it was cut off",
                    bytes.size(), sizeof(Header));
  }
  Artifact artifact;
  artifact.bytes_ = bytes;
  artifact.owner_ = std::move(owner);
  const auto* header = reinterpret_cast<const Header*>(bytes.data());
  if (std::string_view(header->magic, sizeof(header->magic)) != kMagic) {
    return DataLoss("these bytes are not a model: they do not start with '{}'", kMagic);
  }
  if (header->version != kArtifactVersion) {
    return FailedPrecondition(
        "the model has format version {} and this program reads {}; train it anew or use the "
        "program that wrote it",
        header->version, kArtifactVersion);
  }
  if (header->size != bytes.size()) {
    return DataLoss(
        "the model says that it has {} bytes and there are {}; it was cut off or "
        "appended to",
        header->size, bytes.size());
  }
  if (header->sections > (bytes.size() - sizeof(Header)) / sizeof(Entry)) {
    return DataLoss(
        "the model says that it has {} sections, whose table would not fit its {} bytes",
        header->sections, bytes.size());
  }
  artifact.kind_ = Text(header->kind);
  STARLING_RETURN_IF_ERROR(artifact.ReadTable(header->sections, checksums));
  return artifact;
}

Status Artifact::ReadTable(size_t count, Checksums checksums) {
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
  const size_t table_end = sizeof(Header) + count * sizeof(Entry);
  const auto* header = reinterpret_cast<const Header*>(bytes_.data());
  if (checksums == Checksums::kVerify && Checksum(text.substr(0, table_end)) != header->checksum) {
    return DataLoss("the model's header does not match its checksum; the bytes were altered");
  }
  size_t expected = table_end;
  for (size_t i = 0; i < count; ++i) {
    const auto* entry =
        reinterpret_cast<const Entry*>(bytes_.data() + sizeof(Header) + i * sizeof(Entry));
    const std::string_view name = Text(entry->name);
    const auto type = static_cast<ElementType>(entry->type);
    const size_t element = ElementSize(type);
    if (element == 0) {
      return DataLoss("section '{}' has the unknown type {}", name, entry->type);
    }
    if (entry->offset != expected) {
      return DataLoss("section '{}' starts at {} and the one before ends at {}", name,
                      entry->offset, expected);
    }
    const size_t room = (bytes_.size() - expected) / element;
    if (entry->columns != 0 && entry->rows > room / entry->columns) {
      return DataLoss("section '{}' of {} x {} {} does not fit the model's {} bytes", name,
                      entry->rows, entry->columns, Name(type), bytes_.size());
    }
    const size_t padded = Padded(entry->rows * entry->columns * element);
    if (padded > bytes_.size() - expected) {
      return DataLoss("section '{}' ends after the model's {} bytes", name, bytes_.size());
    }
    if (checksums == Checksums::kVerify &&
        Crc32c(text.substr(expected, padded)) != entry->checksum) {
      return DataLoss("section '{}' does not match its checksum; the bytes were altered", name);
    }
    if (Find(name) != nullptr) {
      return DataLoss("section '{}' is there twice", name);
    }
    sections_.push_back({name, type, entry->rows, entry->columns, entry->offset});
    expected += padded;
  }
  if (expected != bytes_.size()) {
    return DataLoss("{} bytes follow the last section", bytes_.size() - expected);
  }
  return OkStatus();
}

const Artifact::Section* Artifact::Find(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&](const Section& section) { return section.name == name; });
  return found == sections_.end() ? nullptr : &*found;
}

StatusOr<const Artifact::Section*> Artifact::Find(std::string_view name, ElementType type) const {
  const Section* section = Find(name);
  if (section == nullptr) {
    return DataLoss("the '{}' model has no section '{}'", kind_, name);
  }
  if (section->type != type) {
    return DataLoss("section '{}' of the '{}' model holds {} and not {}", name, kind_,
                    Name(section->type), Name(type));
  }
  return section;
}

Status Artifact::CheckCount(std::string_view name, size_t count, size_t expected) {
  if (count != expected) {
    return DataLoss("section '{}' has {} values and not {}", name, count, expected);
  }
  return OkStatus();
}

}  // namespace starling::learning

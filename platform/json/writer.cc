#include "platform/json/writer.h"

#include <simdjson.h>

#include <array>
#include <cmath>
#include <memory>

#include "platform/json/base64.h"
#include "platform/json/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace starling::json {
namespace {

constexpr size_t kFirstSize = 4096;
constexpr size_t kLargestKept = size_t{256} * 1024;

// The buffer that a thread keeps between documents; null while a Writer has it.
struct Kept {
  std::unique_ptr<char[]> buffer;
  size_t size = 0;
};
Kept& KeptByThread() {
  thread_local Kept kept;
  return kept;
}

bool NeedsEscape(unsigned char byte) { return byte < 0x20 || byte == '"' || byte == '\\'; }
bool IsOrdinary(unsigned char byte) { return byte < 0x80 && !NeedsEscape(byte); }

#if defined(__SSE2__)
// Copies 16 bytes; whether all were ASCII without need of an escape.
inline bool CopyOrdinary16(const char* from, char* to) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  // Signed: bytes from 0x80 on are below a space too.
  const __m128i below_space = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
  const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  return _mm_movemask_epi8(_mm_or_si128(below_space, _mm_or_si128(quote, backslash))) == 0;
}
#else
inline bool CopyOrdinary16(const char* from, char* to) {
  bool ordinary = true;
  for (int i = 0; i < 16; ++i) {
    ordinary &= IsOrdinary(static_cast<unsigned char>(from[i]));
    to[i] = from[i];
  }
  return ordinary;
}
#endif

// The same for the bytes of an unsigned integer.
template <typename Block>
inline bool CopyOrdinaryBlock(const char* from, char* to) {
  Block bytes;
  std::memcpy(&bytes, from, sizeof(Block));
  std::memcpy(to, &bytes, sizeof(Block));
  constexpr auto kOnes = static_cast<Block>(0x0101010101010101);
  constexpr auto kHigh = static_cast<Block>(0x8080808080808080);
  const auto has_zero = [](Block x) { return (x - kOnes) & ~x; };
  const Block below_space = (bytes - kOnes * ' ') & ~bytes;
  const Block quote = has_zero(bytes ^ kOnes * '"');
  const Block backslash = has_zero(bytes ^ kOnes * '\\');
  return ((bytes | below_space | quote | backslash) & kHigh) == 0;
}

// Copies `text`, with blocks that overlap at its end; whether it can stand in JSON as it is, judged
// for ASCII only.
inline bool CopyOrdinary(std::string_view text, char* to) {
  const char* from = text.data();
  const size_t size = text.size();
  if (size >= 16) {
    for (size_t at = 0; at + 16 < size; at += 16) {
      if (!CopyOrdinary16(from + at, to + at)) return false;
    }
    return CopyOrdinary16(from + size - 16, to + size - 16);
  }
  if (size >= 8) {
    const bool head = CopyOrdinaryBlock<uint64_t>(from, to);
    return CopyOrdinaryBlock<uint64_t>(from + size - 8, to + size - 8) && head;
  }
  if (size >= 4) {
    const bool head = CopyOrdinaryBlock<uint32_t>(from, to);
    return CopyOrdinaryBlock<uint32_t>(from + size - 4, to + size - 4) && head;
  }
  bool ordinary = true;
  for (size_t i = 0; i < size; ++i) {
    ordinary &= IsOrdinary(static_cast<unsigned char>(from[i]));
    to[i] = from[i];
  }
  return ordinary;
}

}  // namespace

Writer::Writer() {
  Kept& kept = KeptByThread();
  if (kept.buffer == nullptr) {
    kept.buffer = std::make_unique_for_overwrite<char[]>(kFirstSize);
    kept.size = kFirstSize;
  }
  begin_ = kept.buffer.release();
  next_ = begin_;
  end_ = begin_ + kept.size;
}

Writer::~Writer() {
  std::unique_ptr<char[]> buffer(begin_);
  const auto size = static_cast<size_t>(end_ - begin_);
  if (Kept& kept = KeptByThread(); kept.buffer == nullptr && size <= kLargestKept) {
    kept.buffer = std::move(buffer);
    kept.size = size;
  }
}

void Writer::Grow(size_t size) {
  const auto used = static_cast<size_t>(next_ - begin_);
  const size_t grown = std::max(2 * static_cast<size_t>(end_ - begin_), used + size);
  auto larger = std::make_unique_for_overwrite<char[]>(grown);
  std::memcpy(larger.get(), begin_, used);
  delete[] begin_;
  begin_ = larger.release();
  next_ = begin_ + used;
  end_ = begin_ + grown;
}

void Writer::String(std::string_view value) {
  Reserve(value.size() + 3);
  *next_ = '"';
  if (CopyOrdinary(value, next_ + 1)) [[likely]] {
    next_ += value.size() + 1;
    *next_++ = '"';
    *next_++ = ',';
    return;
  }
  Escape(value);
}

void Writer::Escape(std::string_view value) {
  static constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
  const bool valid = simdjson::validate_utf8(value.data(), value.size());
  *next_++ = '"';
  const char* at = value.data();
  const char* const end = at + value.size();
  while (at < end) {
    // The longest stretch that needs no change.
    const char* stretch = at;
    while (at < end && !NeedsEscape(static_cast<unsigned char>(*at)) &&
           (valid || static_cast<unsigned char>(*at) < 0x80)) {
      ++at;
    }
    const auto size = static_cast<size_t>(at - stretch);
    Reserve(size + 8);
    std::memcpy(next_, stretch, size);
    next_ += size;
    if (at == end) break;
    const auto byte = static_cast<unsigned char>(*at);
    if (byte < 0x80) {
      EscapeByte(byte);
      ++at;
      continue;
    }
    const std::string_view rest(at, static_cast<size_t>(end - at));
    const size_t length = Utf8SequenceLength(rest);
    const std::string_view written = length > 0 ? rest.substr(0, length) : kReplacement;
    std::memcpy(next_, written.data(), written.size());
    next_ += written.size();
    at += std::max<size_t>(length, 1);
  }
  Reserve(2);
  *next_++ = '"';
  *next_++ = ',';
}

// At most 6 characters, which the caller has reserved.
void Writer::EscapeByte(unsigned char byte) {
  static constexpr char kHex[] = "0123456789abcdef";
  *next_++ = '\\';
  switch (byte) {
    case '"':
      *next_++ = '"';
      return;
    case '\\':
      *next_++ = '\\';
      return;
    case '\b':
      *next_++ = 'b';
      return;
    case '\f':
      *next_++ = 'f';
      return;
    case '\n':
      *next_++ = 'n';
      return;
    case '\r':
      *next_++ = 'r';
      return;
    case '\t':
      *next_++ = 't';
      return;
    default:
      break;
  }
  *next_++ = 'u';
  *next_++ = '0';
  *next_++ = '0';
  *next_++ = kHex[byte >> 4];
  *next_++ = kHex[byte & 15];
}

void Writer::Plain(std::string_view value) {
  Reserve(value.size() + 3);
  *next_++ = '"';
  std::memcpy(next_, value.data(), value.size());
  next_ += value.size();
  *next_++ = '"';
  *next_++ = ',';
}

void Writer::Bytes(std::string_view value) {
  Reserve(Base64Size(value.size()) + 3);
  *next_++ = '"';
  next_ = EncodeBase64(value, next_);
  *next_++ = '"';
  *next_++ = ',';
}

void Writer::Enum(std::string_view name, int number) {
  if (name.empty()) {
    Int32(number);
  } else {
    Plain(name);
  }
}

template <typename Floating>
void Writer::FloatingNumber(Floating value) {
  if (!std::isfinite(value)) {
    Plain(std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    return;
  }
  Reserve(40);
  const Floating magnitude = std::abs(value);
  if (magnitude < Floating{1e6} && value == static_cast<Floating>(static_cast<int32_t>(value)) &&
      !(value == 0 && std::signbit(value))) {
    next_ = std::to_chars(next_, next_ + 16, static_cast<int32_t>(value)).ptr;
  } else if (value == 0) {
    Raw("-0.0");  // a plain -0 is an integer to some readers, which has no sign
  } else {
    // Digits that people read for what is of a usual size; the fewest that give the same value
    // back.
    const bool usual = magnitude >= Floating{1e-5} && magnitude < Floating{1e15};
    next_ = std::to_chars(next_, next_ + 40, value,
                          usual ? std::chars_format::fixed : std::chars_format::scientific)
                .ptr;
  }
  *next_++ = ',';
}

void Writer::Float(float value) { FloatingNumber(value); }
void Writer::Double(double value) { FloatingNumber(value); }

void Writer::Unrepresentable(Status why) {
  Note(std::move(why));
  Null();
}

void Writer::Note(Status why) {
  if (status_.ok()) status_ = std::move(why);
}

}  // namespace starling::json

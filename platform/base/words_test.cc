#include "platform/base/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace starling {
namespace {

// Each byte at each place of texts of each length, against what a loop over bytes says.
template <typename Word, typename Byte>
void ExpectSame(Word word, Byte byte) {
  for (size_t size = 0; size <= 25; ++size) {
    EXPECT_FALSE(AnyWord(std::string(size, 'x'), word)) << size;
    for (size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(c);
        ASSERT_EQ(AnyWord(text, word), byte(static_cast<uint8_t>(c)))
            << "byte " << c << " at " << at << " of " << size;
      }
    }
  }
}

TEST(Words, FindAByteWhereverItIs) {
  ExpectSame([](uint64_t word) { return BytesEqual(word, '"'); },
             [](uint8_t c) { return c == '"'; });
  ExpectSame([](uint64_t word) { return BytesEqual(word, 0); }, [](uint8_t c) { return c == 0; });
  ExpectSame([](uint64_t word) { return BytesBelow(word, 0x20); },
             [](uint8_t c) { return c < 0x20; });
  ExpectSame([](uint64_t word) { return BytesAbove127(word); }, [](uint8_t c) { return c > 127; });
}

TEST(Words, FindTwoOfThemToo) {
  // Where one is found the next must not be taken for another.
  EXPECT_EQ(BytesEqual(WordAt("x\0yyyyyy"), 'z'), 0u);
  EXPECT_EQ(BytesBelow(WordAt("\x1f\x20\x21\x7f\x80\xff\x30\x40"), 0x20) & 0xff, 0x80u);
}

TEST(Words, LowerIsOfAsciiLettersAlone) {
  for (int c = 0; c < 256; ++c) {
    for (size_t at = 0; at < 8; ++at) {
      std::string text = "Az@[`{\x7f\xc4";
      text[at] = static_cast<char>(c);
      std::string lower = text;
      for (char& one : lower) one = one >= 'A' && one <= 'Z' ? static_cast<char>(one + 32) : one;
      EXPECT_EQ(LowerWord(WordAt(text.data())), WordAt(lower.data())) << c << " at " << at;
    }
  }
}

}  // namespace
}  // namespace starling

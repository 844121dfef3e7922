// Undoes a coding, for tests: what a browser would read of these bytes, also of an answer that has
// not ended.
#pragma once

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

#include "platform/http/coding/accept_encoding.h"

namespace starling::http {

inline std::string DecodeForTests(Coding coding, std::string_view packed) {
  std::string out(size_t{6} << 20, '\0');
  const auto* in = reinterpret_cast<const uint8_t*>(packed.data());
  auto* to = reinterpret_cast<uint8_t*>(out.data());
  if (coding == Coding::kGzip) {
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) return "no memory";
    stream.next_in = const_cast<Bytef*>(in);
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = to;
    stream.avail_out = static_cast<uInt>(out.size());
    const int ended = inflate(&stream, Z_SYNC_FLUSH);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return ended == Z_OK || ended == Z_STREAM_END ? out : "no gzip";
  }
  if (coding == Coding::kBrotli) {
    BrotliDecoderState* state = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
    size_t left = packed.size(), room = out.size();
    const auto result = BrotliDecoderDecompressStream(state, &left, &in, &room, &to, nullptr);
    out.resize(out.size() - room);
    BrotliDecoderDestroyInstance(state);
    return result == BROTLI_DECODER_RESULT_ERROR ? "no br" : out;
  }
  if (coding == Coding::kZstd) {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    ZSTD_inBuffer from{packed.data(), packed.size(), 0};
    ZSTD_outBuffer into{out.data(), out.size(), 0};
    size_t result = 0;
    while (from.pos < from.size && ZSTD_isError(result) == 0)
      result = ZSTD_decompressStream(context, &into, &from);
    out.resize(into.pos);
    ZSTD_freeDCtx(context);
    return ZSTD_isError(result) != 0 ? "no zstd" : out;
  }
  return std::string(packed);
}

}  // namespace starling::http

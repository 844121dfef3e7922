#include "platform/http/coding/accept_encoding.h"

#include <gtest/gtest.h>

namespace starling::http {
namespace {

constexpr Coding kOffered[] = {Coding::kZstd, Coding::kBrotli, Coding::kGzip};

std::string Chosen(std::string_view field) {
  const auto coding = AcceptEncoding::Parse(field).Choose(kOffered);
  return coding ? std::string(CodingName(*coding)) : "nothing";
}

TEST(AcceptEncoding, GivesWhatTheClientWantsMost) {
  const struct {
    std::string_view field;
    std::string_view chosen;
  } rows[] = {
      // RFC 9110, 12.5.3: an empty field means that no coding is wanted.
      {"", "identity"},
      {"gzip", "gzip"},
      {"GZIP", "gzip"},
      {"x-gzip", "gzip"},
      {"gzip, deflate, br, zstd", "zstd"},  // equal: the server's order
      {"gzip, deflate, br", "br"},
      {"gzip;q=1.0, br;q=0.9, zstd;q=0.5", "gzip"},
      {"gzip ; q=0.5 , br;Q=0.501", "br"},
      {"deflate, compress", "identity"},
      {"*", "zstd"},
      {"*;q=0.5, gzip", "gzip"},
      {"zstd;q=0, *", "br"},
      {"gzip;q=0.2", "gzip"},  // before identity, which nobody named
      {"identity;q=0.5, gzip;q=0.2", "identity"},
      {"identity, gzip", "gzip"},
      {"gzip;q=0", "identity"},
      {"*;q=0", "nothing"},
      {"*;q=0, identity", "identity"},
      {"identity;q=0", "nothing"},
      {"identity;q=0, gzip", "gzip"},
      {"identity;q=0, *", "zstd"},
      {"deflate, identity;q=0", "nothing"},
      // Weights that are none (12.4.2) make their member not there.
      {"gzip;q=2", "identity"},
      {"gzip;q=1.001", "identity"},
      {"gzip;q=0.1234", "identity"},
      {"gzip;q=-1", "identity"},
      {"gzip;q=", "identity"},
      {"gzip;level=9", "identity"},
      {"gzip;q=1.000, br;q=bad", "gzip"},
      {",, gzip ,,", "gzip"},
  };
  for (const auto& row : rows) EXPECT_EQ(Chosen(row.field), row.chosen) << row.field;
}

TEST(AcceptEncoding, IsIdentityAloneWithoutTheField) {
  Headers headers;
  EXPECT_EQ(AcceptEncoding::Of(headers).Choose(kOffered), Coding::kIdentity);
  EXPECT_FALSE(AcceptEncoding::Of(headers).RefusesIdentity());
}

TEST(AcceptEncoding, OfSeveralFieldsIsOneList) {
  Headers headers;
  headers.Add("Accept-Encoding", "gzip");
  headers.Add("accept-encoding", "br;q=0.1");
  const AcceptEncoding accepts = AcceptEncoding::Of(headers);
  EXPECT_EQ(accepts.Weight(Coding::kGzip), 1000);
  EXPECT_EQ(accepts.Weight(Coding::kBrotli), 100);
  EXPECT_EQ(accepts.Weight(Coding::kZstd), 0);
}

}  // namespace
}  // namespace starling::http

// What the field Idempotency-Key may say (draft-ietf-httpapi-idempotency-key-header-07, 2.1).
#include "platform/rpc/idempotency_key.h"

#include <gtest/gtest.h>

namespace starling::rpc {
namespace {

StatusOr<std::string> KeyOf(std::vector<std::string> values) {
  http::Headers headers;
  for (const std::string& value : values) headers.Add("idempotency-key", value);
  return IdempotencyKeyOf(headers);
}

TEST(IdempotencyKey, IsAStringOrItsTextAlone) {
  struct Row {
    std::string field, key;
  };
  const Row rows[] = {{R"("8e03978e-40d5-43dd")", "8e03978e-40d5-43dd"},
                      {"8e03978e-40d5-43dd", "8e03978e-40d5-43dd"},
                      {R"("a\"b\\c")", R"(a"b\c)"},
                      {R"("a";x=1)", "a"},
                      {std::string(255, 'k'), std::string(255, 'k')}};
  for (const Row& row : rows) {
    const auto key = KeyOf({row.field});
    ASSERT_TRUE(key.ok()) << row.field << ": " << key.status();
    EXPECT_EQ(*key, row.key);
  }
  EXPECT_EQ(KeyOf({}).value(), "");
}

TEST(IdempotencyKey, IsRefusedWhenItIsNone) {
  const std::vector<std::vector<std::string>> rows = {
      {""},     {R"("")"},       {R"("a)"},  {R"("a\n")"}, {R"("a" b)"},           {"a b"},
      {"a\tb"}, {"caf\xc3\xa9"}, {"a", "b"}, {"a", "a"},   {std::string(256, 'k')}};
  for (const auto& row : rows) {
    const auto key = KeyOf(row);
    EXPECT_TRUE(absl::IsInvalidArgument(key.status())) << row[0];
    ASSERT_EQ(FieldViolations(key.status()).size(), 1u) << row[0];
    EXPECT_EQ(FieldViolations(key.status())[0].field, "Idempotency-Key");
  }
}

}  // namespace
}  // namespace starling::rpc

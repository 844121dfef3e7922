#include "platform/rpc/contract_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"

namespace starling::rpc {
namespace {

using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A small contract, and changes of it.
FileDescriptorProto Shop() {
  FileDescriptorProto file;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(name: "shop.proto" package: "shop.v1" syntax: "proto3"
         message_type { name: "Ask"
           field { name: "id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
           field { name: "limit" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL } }
         message_type { name: "Answer"
           field { name: "kind" number: 1 type: TYPE_ENUM type_name: ".shop.v1.Kind"
                   label: LABEL_OPTIONAL } }
         enum_type { name: "Kind" value { name: "NONE" number: 0 } value { name: "BIG" number: 1 } }
         service { name: "Shop" method { name: "Get" input_type: ".shop.v1.Ask"
                                         output_type: ".shop.v1.Answer" } })",
      &file));
  return file;
}
FileDescriptorSet Set(const FileDescriptorProto& file) {
  FileDescriptorSet set;
  *set.add_file() = file;
  return set;
}

struct Change {
  const char* what;
  void (*make)(FileDescriptorProto&);
  const char* breaks;  // "": compatible
};

class Changed : public testing::TestWithParam<Change> {};

TEST_P(Changed, IsJudged) {
  FileDescriptorProto there = Shop();
  GetParam().make(there);
  const ContractDifference difference = CompareContracts(Set(Shop()), Set(there));
  const ContractDifference back = CompareContracts(Set(there), Set(Shop()));
  EXPECT_NE(ContractDigest(Set(Shop())), ContractDigest(Set(there)));
  if (*GetParam().breaks == '\0') {
    EXPECT_THAT(difference.breaking, IsEmpty());
    EXPECT_THAT(back.breaking, IsEmpty());
  } else {
    EXPECT_THAT(difference.breaking, ElementsAre(HasSubstr(GetParam().breaks)));
    EXPECT_EQ(back.breaking.size(), 1u) << "whoever compares";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Contracts, Changed,
    testing::Values(Change{"a field more",
                           [](FileDescriptorProto& f) {
                             auto* field = f.mutable_message_type(0)->add_field();
                             *field = f.message_type(0).field(0);
                             field->set_name("page");
                             field->set_number(3);
                           },
                           ""},
                    Change{"a method more",
                           [](FileDescriptorProto& f) {
                             *f.mutable_service(0)->add_method() = f.service(0).method(0);
                             f.mutable_service(0)->mutable_method(1)->set_name("Put");
                           },
                           ""},
                    Change{"a value more",
                           [](FileDescriptorProto& f) {
                             auto* value = f.mutable_enum_type(0)->add_value();
                             value->set_name("HUGE");
                             value->set_number(2);
                           },
                           ""},
                    Change{"a number that means another field",
                           [](FileDescriptorProto& f) {
                             f.mutable_message_type(0)->mutable_field(1)->set_name("price");
                           },
                           "shop.v1.Ask: field 2 is limit here and price there"},
                    Change{"another type",
                           [](FileDescriptorProto& f) {
                             f.mutable_message_type(0)->mutable_field(1)->set_type(
                                 google::protobuf::FieldDescriptorProto::TYPE_STRING);
                           },
                           "shop.v1.Ask.limit is int32 here and string there"},
                    Change{"a list of it",
                           [](FileDescriptorProto& f) {
                             f.mutable_message_type(0)->mutable_field(0)->set_label(
                                 google::protobuf::FieldDescriptorProto::LABEL_REPEATED);
                           },
                           "shop.v1.Ask.id is string here and repeated string there"},
                    Change{"another value of a number",
                           [](FileDescriptorProto& f) {
                             f.mutable_enum_type(0)->mutable_value(1)->set_name("SMALL");
                           },
                           "shop.v1.Kind: 1 is BIG here and SMALL there"},
                    Change{"a method that streams",
                           [](FileDescriptorProto& f) {
                             f.mutable_service(0)->mutable_method(0)->set_server_streaming(true);
                           },
                           "shop.v1.Shop.Get is .shop.v1.Ask -> .shop.v1.Answer here"}),
    [](const auto& row) {
      std::string name = row.param.what;
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST(Contracts, AnUnknownServiceHasNone) {
  EXPECT_TRUE(
      ContractFiles(*google::protobuf::DescriptorPool::generated_pool(), "no.Such").file().empty());
  const ContractBook book("1", *google::protobuf::DescriptorPool::generated_pool());
  EXPECT_EQ(book.Answer("no.Such 00").status().code(), StatusCode::kNotFound);
}

TEST(Contracts, AnAnswerThatIsNoneIsRefused) {
  for (const char* answer : {"", "0.1.0", "0.1.0 1234", "0.1.0\n", "0.1.0 1234\n\xff\xff"})
    EXPECT_EQ(JudgeContract("shop.v1.Shop", "1", answer).status().code(),
              StatusCode::kInvalidArgument)
        << answer;
}

}  // namespace
}  // namespace starling::rpc

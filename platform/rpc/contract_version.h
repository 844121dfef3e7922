// Which version of a contract a program was built from, and how two versions differ.
//
//   const FileDescriptorSet ours = ContractFiles(pool, "starling.catalog.v1.Catalog");
//   if (ContractDigest(ours) != digest) {
//     const ContractDifference difference = CompareContracts(ours, theirs);
//     if (!difference.breaking.empty()) ...          // one side would misread the other
//   }
//
// A contract is the file of the service and those of every message that its methods reach, as they
// were compiled in, without google/protobuf.
//
// Breaking is what has the same place and another meaning: a field's number with another name, type
// or label, an enum's number with another name, a method that takes, gives or streams another
// thing. What only one side has is compatible: proto3 skips an unknown field, and a method that is
// not there is answered UNIMPLEMENTED.
//
// Pure; a comparison of the largest contract takes well below a millisecond.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/rpc/descriptor.h"

namespace starling::rpc {

// Empty when the pool does not know the service; files sorted by name.
google::protobuf::FileDescriptorSet ContractFiles(const google::protobuf::DescriptorPool& pool,
                                                  std::string_view service);
// 16 hex digits.
std::string ContractDigest(const google::protobuf::FileDescriptorSet& contract);
// "starling.catalog.v1" of "starling.catalog.v1.Catalog".
std::string_view PackageOf(std::string_view full_name);

struct ContractDifference {
  // "starling.catalog.v1.Product: field 2 is title here and price there"; at most ten.
  std::vector<std::string> breaking;
  std::vector<std::string> compatible;
};
ContractDifference CompareContracts(const google::protobuf::FileDescriptorSet& here,
                                    const google::protobuf::FileDescriptorSet& there);

// How processes tell each other their contracts, before the first call: one unary call whose
// request is "SERVICE DIGEST" and whose answer is "VERSION DIGEST\n", followed by the serialised
// FileDescriptorSet where the digests differ. Not a contract of its own: it must not change.
inline constexpr std::string_view kContractCall = "/starling.rpc.Contracts/Get";

// The answer of a process to the call.
class ContractBook {
 public:
  // `pool` outlives the book.
  ContractBook(std::string version, const google::protobuf::DescriptorPool& pool)
      : version_(std::move(version)), pool_(pool) {}
  StatusOr<std::string> Answer(std::string_view request) const;

 private:
  const std::string version_;
  const google::protobuf::DescriptorPool& pool_;
};

// What a process thinks of another's answer.
struct ContractVerdict {
  enum Kind { kSame, kCompatible, kBreaking };
  Kind kind = kSame;
  std::string text;  // both versions and what differs; "" when nothing does
};
// INVALID_ARGUMENT when it is no answer.
StatusOr<ContractVerdict> JudgeContract(std::string_view service, std::string_view version,
                                        std::string_view answer);

}  // namespace starling::rpc

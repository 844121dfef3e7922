#include "platform/rpc/contract_version.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <set>

#include "platform/base/hash.h"

namespace starling::rpc {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;
using google::protobuf::ServiceDescriptorProto;

constexpr size_t kMostNamed = 10;

void Reach(const Descriptor& message, std::set<const Descriptor*>& messages,
           std::map<std::string, const FileDescriptor*>& files) {
  if (message.file()->package() == "google.protobuf" || !messages.insert(&message).second) return;
  files.emplace(message.file()->name(), message.file());
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    if (field.message_type() != nullptr) Reach(*field.message_type(), messages, files);
    if (field.enum_type() != nullptr && field.enum_type()->file()->package() != "google.protobuf")
      files.emplace(field.enum_type()->file()->name(), field.enum_type()->file());
  }
}

// Everything that has a name, by its full one.
struct Names {
  std::map<std::string, const DescriptorProto*> messages;
  std::map<std::string, const EnumDescriptorProto*> enums;
  std::map<std::string, const MethodDescriptorProto*> methods;

  explicit Names(const FileDescriptorSet& set) {
    for (const FileDescriptorProto& file : set.file()) {
      for (const auto& message : file.message_type()) Add(file.package(), message);
      for (const auto& each : file.enum_type()) enums[file.package() + "." + each.name()] = &each;
      for (const ServiceDescriptorProto& service : file.service()) {
        for (const auto& method : service.method())
          methods[file.package() + "." + service.name() + "." + method.name()] = &method;
      }
    }
  }
  void Add(const std::string& prefix, const DescriptorProto& message) {
    const std::string name = prefix + "." + message.name();
    messages[name] = &message;
    for (const auto& inner : message.nested_type()) Add(name, inner);
    for (const auto& inner : message.enum_type()) enums[name + "." + inner.name()] = &inner;
  }
};

std::string Type(const FieldDescriptorProto& field) {
  std::string type = field.type_name();
  if (type.empty()) {
    type = google::protobuf::FieldDescriptor::TypeName(
        static_cast<google::protobuf::FieldDescriptor::Type>(field.type()));
  }
  return field.label() == FieldDescriptorProto::LABEL_REPEATED ? "repeated " + type : type;
}

std::string Shape(const MethodDescriptorProto& method) {
  return fmt::format("{}{} -> {}{}", method.client_streaming() ? "stream " : "",
                     method.input_type(), method.server_streaming() ? "stream " : "",
                     method.output_type());
}

class Comparison {
 public:
  ContractDifference difference;

  template <typename Map, typename Both>
  void Each(const Map& here, const Map& there, std::string_view what, const Both& both) {
    for (const auto& [key, mine] : here) {
      const auto theirs = there.find(key);
      if (theirs == there.end()) {
        Compatible(fmt::format("{} {} is only here", what, key));
      } else {
        both(key, *mine, *theirs->second);
      }
    }
    for (const auto& [key, theirs] : there) {
      if (!here.contains(key)) Compatible(fmt::format("{} {} is only there", what, key));
    }
  }

  void Fields(const std::string& message, const DescriptorProto& here,
              const DescriptorProto& there) {
    const auto by_number = [](const DescriptorProto& of) {
      std::map<int, const FieldDescriptorProto*> fields;
      for (const auto& field : of.field()) fields[field.number()] = &field;
      return fields;
    };
    Each(by_number(here), by_number(there), message + ": field",
         [&](int number, const FieldDescriptorProto& mine, const FieldDescriptorProto& theirs) {
           if (mine.name() != theirs.name()) {
             Breaking(fmt::format("{}: field {} is {} here and {} there", message, number,
                                  mine.name(), theirs.name()));
           } else if (Type(mine) != Type(theirs)) {
             Breaking(fmt::format("{}.{} is {} here and {} there", message, mine.name(), Type(mine),
                                  Type(theirs)));
           }
         });
  }

  void Values(const std::string& name, const EnumDescriptorProto& here,
              const EnumDescriptorProto& there) {
    std::map<int, std::set<std::string>> mine, theirs;
    for (const auto& value : here.value()) mine[value.number()].insert(value.name());
    for (const auto& value : there.value()) theirs[value.number()].insert(value.name());
    for (const auto& [number, names] : mine) {
      const auto other = theirs.find(number);
      if (other == theirs.end()) {
        Compatible(fmt::format("{}: {} is only here", name, number));
      } else if (names != other->second) {
        Breaking(fmt::format("{}: {} is {} here and {} there", name, number, *names.begin(),
                             *other->second.begin()));
      }
    }
    for (const auto& [number, names] : theirs) {
      if (!mine.contains(number)) Compatible(fmt::format("{}: {} is only there", name, number));
    }
  }

  void Breaking(std::string what) { Add(difference.breaking, std::move(what)); }

 private:
  void Compatible(std::string what) { Add(difference.compatible, std::move(what)); }
  static void Add(std::vector<std::string>& list, std::string what) {
    if (list.size() < kMostNamed) list.push_back(std::move(what));
  }
};

}  // namespace

std::string_view PackageOf(std::string_view full_name) {
  return full_name.substr(0, full_name.rfind('.'));
}

FileDescriptorSet ContractFiles(const DescriptorPool& pool, std::string_view service) {
  FileDescriptorSet set;
  const auto* found = pool.FindServiceByName(std::string(service));
  if (found == nullptr) return set;
  std::map<std::string, const FileDescriptor*> files{{found->file()->name(), found->file()}};
  std::set<const Descriptor*> messages;
  for (int i = 0; i < found->method_count(); ++i) {
    Reach(*found->method(i)->input_type(), messages, files);
    Reach(*found->method(i)->output_type(), messages, files);
  }
  for (const auto& [name, file] : files) file->CopyTo(set.add_file());
  return set;
}

std::string ContractDigest(const FileDescriptorSet& contract) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    contract.SerializeToCodedStream(&coded);
  }
  return fmt::format("{:016x}", Hash64(bytes));
}

ContractDifference CompareContracts(const FileDescriptorSet& here, const FileDescriptorSet& there) {
  const Names mine(here), theirs(there);
  Comparison comparison;
  comparison.Each(
      mine.methods, theirs.methods, "method",
      [&](const std::string& name, const auto& a, const auto& b) {
        if (Shape(a) != Shape(b)) {
          comparison.Breaking(fmt::format("{} is {} here and {} there", name, Shape(a), Shape(b)));
        }
      });
  comparison.Each(mine.messages, theirs.messages, "message",
                  [&](const std::string& name, const auto& a, const auto& b) {
                    comparison.Fields(name, a, b);
                  });
  comparison.Each(mine.enums, theirs.enums, "enum",
                  [&](const std::string& name, const auto& a, const auto& b) {
                    comparison.Values(name, a, b);
                  });
  return std::move(comparison.difference);
}

StatusOr<std::string> ContractBook::Answer(std::string_view request) const {
  const size_t space = request.find(' ');
  const std::string_view service = request.substr(0, space);
  const FileDescriptorSet files = ContractFiles(pool_, service);
  if (files.file().empty()) return NotFound("this program has no contract {}", service);
  const std::string digest = ContractDigest(files);
  std::string answer = fmt::format("{} {}\n", version_, digest);
  if (space == std::string_view::npos || request.substr(space + 1) != digest)
    answer += files.SerializeAsString();
  return answer;
}

StatusOr<ContractVerdict> JudgeContract(std::string_view service, std::string_view version,
                                        std::string_view answer) {
  const size_t line = answer.find('\n');
  const std::string_view head = answer.substr(0, line);
  const size_t space = head.find(' ');
  if (line == std::string_view::npos || space == std::string_view::npos)
    return InvalidArgument("the answer about the contract {} is none", service);
  const FileDescriptorSet ours = ContractFiles(*DescriptorPool::generated_pool(), service);
  const std::string digest = ContractDigest(ours);
  const std::string_view their_digest = head.substr(space + 1);
  if (their_digest == digest) return ContractVerdict();
  FileDescriptorSet theirs;
  const std::string_view bytes = answer.substr(line + 1);
  if (!theirs.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return InvalidArgument("the contract {} of the answer cannot be read", service);
  const ContractDifference difference = CompareContracts(ours, theirs);
  const bool breaking = !difference.breaking.empty();
  const auto& named = breaking ? difference.breaking : difference.compatible;
  return ContractVerdict{
      breaking ? ContractVerdict::kBreaking : ContractVerdict::kCompatible,
      fmt::format(
          "{} is {} (version {}) there and {} (version {}) here: {}", PackageOf(service),
          their_digest, head.substr(0, space), digest, version,
          named.empty() ? "only options differ" : fmt::format("{}", fmt::join(named, "; ")))};
}

}  // namespace starling::rpc

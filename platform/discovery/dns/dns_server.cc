#include "platform/discovery/dns/dns_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace starling::discovery::dns {
namespace {

void Put16(std::string& out, uint32_t value) {
  out += static_cast<char>(value >> 8 & 0xff);
  out += static_cast<char>(value & 0xff);
}

std::string Labels(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return out + '\0';
}

}  // namespace

Server::Server() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
  ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

Server::~Server() {
  ::shutdown(socket_, SHUT_RDWR);
  thread_.join();
  ::close(socket_);
}

std::string Server::address() const { return fmt::format("127.0.0.1:{}", port_); }

void Server::Set(const std::string& name, std::vector<Record> records) {
  const std::lock_guard lock(mutex_);
  records_[name] = std::move(records);
}

void Server::SetMood(Mood mood) {
  const std::lock_guard lock(mutex_);
  mood_ = mood;
}

int Server::questions() const {
  const std::lock_guard lock(mutex_);
  return questions_;
}

Server::Record Server::A(std::string_view address, uint32_t ttl) {
  std::array<char, 4> bytes;
  if (::inet_pton(AF_INET, std::string(address).c_str(), bytes.data()) != 1) std::abort();
  return {.type = 1, .data = std::string(bytes.data(), bytes.size()), .ttl = ttl};
}

Server::Record Server::Aaaa(std::string_view address, uint32_t ttl) {
  std::array<char, 16> bytes;
  if (::inet_pton(AF_INET6, std::string(address).c_str(), bytes.data()) != 1) std::abort();
  return {.type = 28, .data = std::string(bytes.data(), bytes.size()), .ttl = ttl};
}

Server::Record Server::Srv(uint16_t priority, uint16_t weight, uint16_t port,
                           std::string_view target, uint32_t ttl) {
  std::string data;
  for (const uint16_t number : {priority, weight, port}) Put16(data, number);
  return {.type = 33, .data = data + Labels(target), .ttl = ttl};
}

void Server::Serve() {
  std::array<char, 1500> bytes;
  while (true) {
    sockaddr_in from{};
    socklen_t size = sizeof(from);
    const ssize_t got = ::recvfrom(socket_, bytes.data(), bytes.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0) return;
    const std::string answer = Answer({bytes.data(), static_cast<size_t>(got)});
    if (!answer.empty())
      ::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

std::string Server::Answer(std::string_view question) {
  std::string name;
  size_t at = 12;
  while (at < question.size() && question[at] != 0) {
    const auto length = static_cast<unsigned char>(question[at]);
    name += std::string(name.empty() ? "" : ".") + std::string(question.substr(at + 1, length));
    at += length + 1;
  }
  at += 5;
  if (at > question.size()) return "";
  const auto type = static_cast<uint16_t>(static_cast<unsigned char>(question[at - 3]));
  const std::lock_guard lock(mutex_);
  ++questions_;
  if (mood_ == Mood::kSilent) return "";
  const auto known = records_.find(name);
  const bool exists = known != records_.end() && !known->second.empty();
  std::string records;
  uint32_t count = 0;
  if (exists) {
    for (const Record& record : known->second) {
      if (record.type != type) continue;
      ++count;
      Put16(records, 0xc00c);  // the question's name
      Put16(records, record.type);
      Put16(records, 1);
      Put16(records, record.ttl >> 16);
      Put16(records, record.ttl);
      Put16(records, static_cast<uint32_t>(record.data.size()));
      records += record.data;
    }
  }
  if (mood_ == Mood::kGarbage) {
    count = 3;
    records = "\xff\xff\xff";
  }
  const uint32_t code = mood_ == Mood::kFails ? 2 : exists || mood_ == Mood::kGarbage ? 0 : 3;
  std::string answer(question.substr(0, 2));
  Put16(answer, 0x8180 | code);
  Put16(answer, 1);
  Put16(answer, mood_ == Mood::kFails ? 0 : count);
  Put16(answer, 0);
  Put16(answer, 0);
  answer += question.substr(12, at - 12);
  return mood_ == Mood::kFails ? answer : answer + records;
}

}  // namespace starling::discovery::dns

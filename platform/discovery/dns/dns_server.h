// A small DNS server for tests: answers A, AAAA and SRV questions over UDP on a free loopback port,
// from records that the test sets.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace starling::discovery::dns {

class Server {
 public:
  enum class Mood { kAnswers, kSilent, kFails, kGarbage };
  struct Record {
    uint16_t type = 1;  // 1 A, 28 AAAA, 33 SRV
    std::string data;   // as on the wire
    uint32_t ttl = 0;
  };

  Server();
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string address() const;  // "127.0.0.1:41234"
  // All records of a name; a name without any does not exist.
  void Set(const std::string& name, std::vector<Record> records);
  void SetMood(Mood mood);
  int questions() const;

  static Record A(std::string_view address, uint32_t ttl = 0);
  static Record Aaaa(std::string_view address, uint32_t ttl = 0);
  static Record Srv(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target,
                    uint32_t ttl = 0);

 private:
  void Serve();
  std::string Answer(std::string_view question);

  int socket_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Record>> records_;
  Mood mood_ = Mood::kAnswers;
  int questions_ = 0;
  std::thread thread_;
};

}  // namespace starling::discovery::dns

// Everything this service knows, in memory: each user's history, which users each product has, how
// popular it is, and how much there is of all.
//
//   InteractionTable::Change change = table.Plan(incoming, InteractionTable::kNew);
//   ... make change.added() and change.removed() durable ...
//   table.Publish(std::move(change));                 // now readers see it
//
// Plan and Publish are one thread's. Readers come from any thread; they hold a lock for as long as
// it takes to copy a reference, and read histories without one. Until it is published, a change can
// be dropped: planned again, the same rows come out.
//
// Bounds: a user's newest `interactions` are kept, at most `impressions` of them impressions. A row
// that would not be kept is not added. An event counts once: the second with one id, by one user,
// is dropped, whatever time it says. Ids are compared by 64 bits of hash; of a user's 10,000 events
// two differing ones have the same with a probability of 3e-12. Memory: about 30 bytes an
// interaction, 160 a product, 150 a user.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "services/features/decayed_sum.h"
#include "services/features/history.h"
#include "services/features/names.h"

namespace starling::features {

class InteractionTable {
 public:
  struct Bounds {
    uint32_t interactions = 10'000;
    uint32_t impressions = 1'000;
    int64_t half_life = int64_t{30} * 86'400;  // of popularity, in seconds
  };
  explicit InteractionTable(Bounds bounds) : bounds_(bounds) {}

  struct Incoming {
    std::string_view user_id;
    std::string_view product_id;
    Row row;  // its product is not looked at
  };
  enum Source {
    kNew,     // not on the disk: what the bounds drop was never there
    kStored,  // on the disk: what the bounds drop is to be removed
  };
  struct Place {
    uint32_t user = 0;
    Row row;
    bool was_there = false;  // readers saw it
  };

  class Change {
   public:
    const std::vector<Place>& added() const { return added_; }
    const std::vector<Place>& removed() const { return removed_; }
    bool empty() const { return added_.empty() && removed_.empty(); }

   private:
    friend class InteractionTable;
    struct Link {  // a user gets or loses a product
      uint32_t product = 0;
      bool there = false;
    };
    struct User {  // the ends of its parts of added_, removed_ and links_
      uint32_t user = 0;
      uint32_t impressions = 0;
      History history;
      size_t added = 0, removed = 0, links = 0;
    };
    std::vector<Place> added_;
    std::vector<Place> removed_;
    std::vector<Link> links_;
    std::vector<User> users_;
    std::vector<uint32_t> products_;  // that the batch spoke of
  };

  Change Plan(std::span<const Incoming> incoming, Source source);
  void Publish(Change change);
  // Of what Plan gave; for the thread that plans.
  const std::string& UserId(uint32_t user) const { return *user_names_.Name(user); }
  const std::string& ProductId(uint32_t product) const { return *product_names_.Name(product); }

  // Empty for an unknown user.
  History Find(std::string_view user_id) const;
  // The same, with Hash64 of the id of each row's product.
  struct Keyed {
    History history;
    std::vector<uint64_t> product_keys;  // history.size()
  };
  Keyed FindKeyed(std::string_view user_id) const;

  // The histories in which some products are to be found, a user once.
  struct Owners {
    std::vector<std::optional<uint32_t>> products;  // in the order asked for; none: unknown
    std::vector<std::pair<uint32_t, History>> users;
    size_t rows = 0;  // of all these users
  };
  Owners FindOwners(std::span<const std::string* const> product_ids) const;

  struct Statistics {
    int64_t interactions = 0;
    int64_t users = 0;
    int64_t products = 0;
    int64_t oldest = 0;  // seconds since 1970; 0 when there is nothing
    int64_t newest = 0;
  };
  Statistics Count() const;

  struct Popular {
    std::string product_id;
    double score = 0;
  };
  // The most popular at a time, best first, ties by id. Looks at every product: about 30 ns each.
  std::vector<Popular> MostPopular(int64_t at, size_t limit) const;

  // One state of everything, between two changes: users by id, and the products' ids by number. Its
  // size is that of the references; histories are shared with the table.
  class Snapshot {
   public:
    struct User {
      const std::string* id;
      History history;
    };
    const std::vector<User>& users() const { return users_; }
    const std::string& ProductId(uint32_t product) const { return *products_[product]; }

   private:
    friend class InteractionTable;
    std::shared_ptr<const void> pin_;
    std::vector<User> users_;
    std::vector<const std::string*> products_;
  };
  Snapshot Copy() const;

 private:
  struct User {
    History history;
    uint32_t impressions = 0;
  };
  struct Product {
    std::vector<uint32_t> users;  // in no order
    uint64_t key = 0;
    uint32_t interactions = 0;
    DecayedSum popularity;
  };
  void PlanUser(uint32_t user, std::span<const Row> rows, Source source, Change& change);
  bool GoesBehind(const User& user, const std::vector<Row>& rows) const;
  void Append(const User& user, std::vector<Row> rows, Change& change, Change::User& planned) const;
  void Merge(const User& user, const std::vector<Row>& rows, Source source, Change& change,
             Change::User& planned) const;
  void Apply(Change& change, const Change::User& before, Change::User& planned);
  void Link(uint32_t user, const Change::Link& link);
  void ReleaseUnused(const std::vector<uint32_t>& products);
  uint32_t InternUser(std::string_view user_id);
  uint32_t InternProduct(std::string_view product_id);
  std::shared_ptr<const void> Pin() const;

  const Bounds bounds_;
  mutable std::mutex whole_;  // between changes; taken before mutex_
  mutable std::mutex mutex_;  // guards all below; the planning thread reads without it
  Names user_names_;
  Names product_names_;
  std::deque<User> users_;
  std::deque<Product> products_;
  mutable Statistics counted_;
  mutable bool oldest_known_ = true;  // or to be looked for when asked
  // While someone may look up names without the lock, no product's number becomes another's.
  mutable int pins_ = 0;
  std::vector<uint32_t> unused_;
};

}  // namespace starling::features

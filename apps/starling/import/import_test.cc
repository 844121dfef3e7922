// What foreign files become, row by row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "apps/starling/import/ledger.h"
#include "apps/starling/import/online_retail.h"
#include "apps/starling/import/plain_files.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/import/text.h"
#include "platform/base/id.h"

namespace starling::import {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Import : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    auto made = tabular::RejectFile::Create((folder_ / "rejects.csv").string());
    ASSERT_TRUE(made.ok()) << made.status();
    rejects_ = *std::move(made);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  // All that the stages give, in order.
  Batch All(StatusOr<std::unique_ptr<Reader>> reader, Telling reading = Telling::kTell) {
    Batch all;
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!reader.ok()) return all;
    for (const std::string& stage : (*reader)->Stages()) {
      const Status begun =
          (*reader)->Begin(stage, "", stage == "reading" ? reading : Telling::kTell);
      EXPECT_TRUE(begun.ok()) << begun;
      for (bool last = !begun.ok(); !last;) {
        auto batch = (*reader)->Next();
        EXPECT_TRUE(batch.ok()) << batch.status();
        if (!batch.ok()) return all;
        last = batch->last;
        std::move(batch->products.begin(), batch->products.end(), std::back_inserter(all.products));
        std::move(batch->users.begin(), batch->users.end(), std::back_inserter(all.users));
        std::move(batch->events.begin(), batch->events.end(), std::back_inserter(all.events));
      }
    }
    findings_ = (*reader)->findings();
    return all;
  }
  std::string Rejected() {
    EXPECT_TRUE(rejects_->Close().ok());
    std::ifstream file(folder_ / "rejects.csv");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("import-" + NewId());
  std::unique_ptr<tabular::RejectFile> rejects_;
  Findings findings_;
};

std::vector<std::string> Lines(const std::vector<ingestion::v1::UserEvent>& events) {
  std::vector<std::string> lines;
  for (const auto& event : events) {
    lines.push_back(fmt::format("{} {} {} {} {}", event.event_id(), event.user_id(), event.type(),
                                event.product_id(), event.quantity()));
  }
  return lines;
}

constexpr char kFirstEdition[] =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
constexpr char kSecondEdition[] =
    "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n";

TEST_F(Import, TakesBothEditionsOfOnlineRetailAlike) {
  const std::string row = "489434,85048,CHRISTMAS GLASS BALL,12,2009-12-01";
  const Batch first = All(ReadOnlineRetail(
      Write("1.csv", kFirstEdition + row + " 07:45:00,6.95,13085,United Kingdom\n"), *rejects_));
  const Batch second = All(ReadOnlineRetail(
      Write("2.csv", kSecondEdition + row + "T07:45:00,6.95,13085.0,United Kingdom\n"), *rejects_));
  for (const Batch* batch : {&first, &second}) {
    ASSERT_EQ(batch->products.size(), 1u);
    EXPECT_EQ(batch->products[0].title(), "Christmas Glass Ball");
    EXPECT_EQ(batch->products[0].price().units(), 6);
    EXPECT_EQ(batch->products[0].price().nanos(), 950'000'000);
    ASSERT_EQ(batch->users.size(), 1u);
    EXPECT_EQ(batch->users[0].user_id(), "13085");
    EXPECT_EQ(batch->users[0].attributes().at("country"), "United Kingdom");
    EXPECT_THAT(Lines(batch->events), ElementsAre("retail/489434/85048/1 13085 purchase 85048 12"));
    EXPECT_EQ(batch->events[0].occurred_at().seconds(), 1'259'653'500);
  }
  EXPECT_EQ(Rejected(), "");
}

TEST_F(Import, CleansWhatOnlineRetailHasOfDirt) {
  const Batch all = All(ReadOnlineRetail(
      Write(
          "r.csv",
          std::string(kSecondEdition) +
              "1,85048,OLD NAME,5,2010-01-01T10:00:00,1.50,7,France\n"
              "1,85048,OLD NAME,2,2010-01-01T10:00:00,1.50,7,France\n"
              "1,85048,OLD NAME,4,2010-01-01T10:00:00,1.50,8,France\n"
              "2,85048,NEW NAME,3,2010-01-02T10:00:00,2.50,,France\n"
              "C3,85048,NEW NAME,-6,2010-01-03T10:00:00,1.50,7,France\n"  // 5 of one, 1 of the
                                                                          // other
              "4,85048,damaged,-9,2010-01-04T10:00:00,0,,France\n"
              "5,85048,NEW NAME,6,2010-01-05T10:00:00,2.25,7,France\n"  // after the cancellation
              "6,POST,POSTAGE,1,2010-01-05T10:00:00,18,7,France\n"
              "6,22086a,PAPER CHAIN KIT,1,2010-01-05T10:00:00,2,7,France\n"
              "C7,22086A,PAPER CHAIN KIT,-1,2010-01-06T10:00:00,2,9,France\n"),  // somebody else's
      *rejects_));
  ASSERT_EQ(all.products.size(), 2u);
  EXPECT_EQ(all.products[0].product_id(), "22086A");
  EXPECT_EQ(all.products[1].title(), "New Name");
  EXPECT_EQ(all.products[1].price().units(), 2);
  EXPECT_EQ(all.products[1].price().nanos(), 250'000'000);
  EXPECT_EQ(all.users.size(), 3u);
  EXPECT_THAT(
      Lines(all.events),
      ElementsAre("retail/1/85048/2 7 purchase 85048 1", "retail/1/85048/3 8 purchase 85048 4",
                  "retail/2/85048/1  purchase 85048 3", "retail/5/85048/1 7 purchase 85048 6",
                  "retail/6/22086A/1 7 purchase 22086A 1"));
  EXPECT_EQ(all.events[2].properties().at("basket"), "2");
  EXPECT_EQ(findings_.at("lines of fees, postage and vouchers, which are no products"), 1);
  EXPECT_EQ(findings_.at("lines of cancellations"), 2);
  EXPECT_EQ(findings_.at("corrections of the stock"), 1);
  EXPECT_EQ(findings_.at("purchases by nobody known"), 1);
  EXPECT_EQ(findings_.at("purchases that a cancellation undid, whole or in part"), 2);
}

TEST_F(Import, SetsBadRowsAsideWithLineColumnValueAndReason) {
  const Batch all = All(ReadOnlineRetail(
      Write("r.csv", std::string(kSecondEdition) +
                         "1,85048,GLASS BALL,five,2010-01-01T10:00:00,1.50,7,France\n"
                         "1,85048,GLASS BALL,5,2010-13-01T10:00:00,1.50,7,France\n"
                         "1,85048,GLASS BALL,5,2010-01-01T10:00:00,cheap,7,France\n"
                         "1,85048,GLASS BALL,5,2010-01-01T10:00:00,1.50\n"
                         ",85048,GLASS BALL,5,2010-01-01T10:00:00,1.50,7,France\n"
                         "1,85048,GLASS BALL,0,2010-01-01T10:00:00,1.50,7,France\n"
                         "1,85048,GLASS BALL,5,2010-01-01T10:00:00,-1.50,7,France\n"
                         "1,85048,GLASS BALL,5,2210-01-01T10:00:00,1.50,7,France\n"
                         "1,85048,GLASS \xff,5,2010-01-01T10:00:00,1.50,7,France\n"
                         "C1,85048,GLASS BALL,5,2010-01-01T10:00:00,1.50,7,France\n"
                         "1,85048,GLASS BALL,5,2010-01-01T10:00:00,1.50,7,France\n"),
      *rejects_));
  EXPECT_EQ(all.events.size(), 1u);
  EXPECT_EQ(rejects_->summary().total(), 10);
  const std::string rejected = Rejected();
  for (const char* part : {",2,Quantity,five,", ",3,InvoiceDate,2010-13-01T10:00:00,",
                           ",4,Price,cheap,", ",5,", ",6,", ",7,", ",8,", ",9,", ",10,", ",11,"})
    EXPECT_THAT(rejected, HasSubstr(part));
}

TEST_F(Import, WhatWasToldBeforeTheCutIsGatheredButNotToldAgain) {
  const std::string file = Write("r.csv", std::string(kSecondEdition) +
                                              "1,85048,GLASS BALL,five,2010-01-01T10:00:00,1,7,\n"
                                              "1,85048,GLASS BALL,0,2010-01-01T10:00:00,1,7,\n"
                                              "1,POST,POSTAGE,1,2010-01-01T10:00:00,18,7,\n"
                                              "1,85048,GLASS BALL,5,2010-01-01T10:00:00,1,7,\n"
                                              "2,85048,GLASS BALL,5,2010-01-01T10:00:00,1,,\n");
  const Batch all = All(ReadOnlineRetail(file, *rejects_), Telling::kToldBefore);
  EXPECT_EQ(all.products.size(), 1u);
  EXPECT_EQ(all.events.size(), 2u);
  EXPECT_EQ(rejects_->summary().total(), 0);
  EXPECT_THAT(findings_, ElementsAre(testing::Pair("purchases by nobody known", 1)));
}

TEST_F(Import, TakesATeamsOwnFilesByAMapping) {
  const std::string products =
      Write("p.jsonl",
            R"({"sku":"a","name":" Whole  milk ","path":"Dairy | Milk","cost":1.29}
{"sku":"","name":"x"}
{"sku":"b","name":"Bread","cost":-1}
)");
  const std::string mapping = Write("m.yaml",
                                    "fields:\n"
                                    "  product_id: sku\n"
                                    "  title: name\n"
                                    "  categories: path\n"
                                    "  price: cost\n");
  const Batch all = All(ReadPlainFiles("products", products, mapping, *rejects_));
  ASSERT_EQ(all.products.size(), 1u);
  EXPECT_EQ(all.products[0].title(), "Whole milk");
  EXPECT_THAT(all.products[0].categories(), ElementsAre("Dairy", "Milk"));
  EXPECT_EQ(all.products[0].price().nanos(), 290'000'000);
  EXPECT_EQ(rejects_->summary().total(), 2);

  const std::string users = Write("u.csv", "user_id,country\nada,GB\n");
  const std::string attributes = Write("u.yaml", "fields:\n  user_id: user_id\n  land: country\n");
  const Batch some = All(ReadPlainFiles("users", users, attributes, *rejects_));
  ASSERT_EQ(some.users.size(), 1u);
  EXPECT_EQ(some.users[0].attributes().at("land"), "GB");

  const Status wrong =
      ReadPlainFiles("products", products, Write("w.yaml", "fields:\n  titel: name\n"), *rejects_)
          .status();
  ASSERT_EQ(FieldViolations(wrong).size(), 1u);
  EXPECT_THAT(FieldViolations(wrong)[0].description, HasSubstr("did you mean 'title'"));
}

TEST_F(Import, GivesEventsIdsThatAreTheSameNextTime) {
  const std::string file = Write("e.csv",
                                 "user_id,product_id,type,occurred_at\n"
                                 "ada,a,view,2026-01-02T03:04:05Z\n"
                                 "ada,a,view,2026-01-02T03:04:05Z\n"
                                 "ada,b,veiw,2026-01-02T03:04:05Z\n"
                                 "ada,b,view,2026-01-02 03:04:06\n");
  const auto ids = [](const Batch& batch) {
    std::vector<std::string> ids;
    for (const auto& event : batch.events) ids.push_back(event.event_id());
    return ids;
  };
  const auto first = ids(All(ReadPlainFiles("events", file, "", *rejects_)));
  ASSERT_EQ(first.size(), 3u);
  EXPECT_NE(first[0], first[1]);
  EXPECT_EQ(ids(All(ReadPlainFiles("events", file, "", *rejects_))), first);
  EXPECT_THAT(Rejected(), HasSubstr("did you mean 'view'"));
}

TEST_F(Import, TheLedgerKnowsHowFarItCame) {
  const std::string file = Write("e.csv", "x");
  const auto key = Ledger::KeyOf("events", file, "");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(Ledger::KeyOf("events", file + "?", "").status().code(), StatusCode::kNotFound);
  {
    const auto ledger = Ledger::Open(folder_ / "import");
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    EXPECT_EQ((*ledger)->Find(*key)->stage, "");
    ASSERT_TRUE((*ledger)->Put(*key, {.stage = "events", .position = "0:7"}).ok());
  }
  const auto ledger = Ledger::Open(folder_ / "import");
  EXPECT_EQ((*ledger)->Find(*key)->position, "0:7");
  EXPECT_FALSE((*ledger)->Find(*key)->done);
  EXPECT_NE(*Ledger::KeyOf("events", Write("e.csv", "longer"), ""), *key);
}

TEST_F(Import, ACorrectedMappingIsANewImport) {
  const std::string file = Write("e.csv", "x");
  const std::string mapping = Write("m.yaml", "fields:\n  type: kind\n");
  const std::string key = *Ledger::KeyOf("events", file, mapping);
  EXPECT_NE(key, *Ledger::KeyOf("events", file, ""));
  EXPECT_EQ(key, *Ledger::KeyOf("events", file, Write("same.yaml", "fields:\n  type: kind\n")));
  Write("m.yaml", "fields:\n  type: sort\n");
  EXPECT_NE(key, *Ledger::KeyOf("events", file, mapping));
  EXPECT_EQ(Ledger::KeyOf("events", file, mapping + "?").status().code(), StatusCode::kNotFound);
}

TEST_F(Import, TheLedgerKnowsWhatWasToldAndWrittenUpToThere) {
  ASSERT_TRUE(
      rejects_->Add({"a.csv", 1, 2, "price", 7, "x", tabular::Fault::kValue, "no number"}).ok());
  ASSERT_TRUE(rejects_->Add({"a.csv", 4, 5, "", 0, "", tabular::Fault::kUtf8, "bytes"}).ok());
  ASSERT_TRUE(rejects_->Add({"a.csv", 6, 7, "", 0, "", tabular::Fault::kUtf8, "bytes"}).ok());
  const auto ledger = Ledger::Open(folder_ / "import");
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  ASSERT_TRUE((*ledger)
                  ->Put("key", {.stage = "events",
                                .told = {rejects_->mark(), {{"cancellations", 3}}},
                                .written = {.products_updated = 4, .events = 5}})
                  .ok());
  const auto entry = (*ledger)->Find("key");
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->told.rejects.bytes, rejects_->mark().bytes);
  EXPECT_EQ(entry->told.rejects.rows, 3);
  EXPECT_EQ(entry->told.rejects.checksum, rejects_->mark().checksum);
  EXPECT_EQ(entry->told.rejects.summary.total(), 3);
  EXPECT_EQ(entry->told.rejects.summary.Text(), rejects_->summary().Text());
  EXPECT_THAT(entry->told.findings, ElementsAre(testing::Pair("cancellations", 3)));
  EXPECT_EQ(entry->written.products_created, 0);
  EXPECT_EQ(entry->written.products_updated, 4);
  EXPECT_EQ(entry->written.events, 5);

  ASSERT_TRUE((*ledger)->Put("key", {.done = true}).ok());
  EXPECT_EQ((*ledger)->Find("key")->told.rejects.summary.total(), 0);
  EXPECT_EQ((*ledger)->Find("key")->written.events, 0);
}

// What a bar says, on a clock that the test sets.
struct Shown {
  explicit Shown(ProgressBar::Kind kind) : bar(file.get(), kind, [this] { return now; }) {}
  std::string Text() const {
    std::string text(static_cast<size_t>(std::ftell(file.get())), ' ');
    std::rewind(file.get());
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), file.get()), text.size());
    return text;
  }
  ProgressBar::Clock::time_point now{std::chrono::hours(1)};
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::tmpfile(), std::fclose};
  ProgressBar bar;
};

TEST(ProgressBar, IsALineEveryTenSecondsWhereNoTerminalIs) {
  Shown shown(ProgressBar::Kind::kLines);
  for (int tenths = 0; tenths <= 250; ++tenths) {
    shown.bar.Show(tenths < 150 ? "products" : "events", tenths / 400.0, tenths * 1000);
    shown.now += std::chrono::milliseconds(100);
  }
  shown.bar.Clear();
  EXPECT_EQ(shown.Text(),
            "products: 25 %, 100,000 rows, 10,000/s, 0:30 left\n"
            "events: 50 %, 200,000 rows, 40,000/s, 0:05 left\n");
}

TEST(ProgressBar, SaysNothingInALogOfWhatTakesLessThanTenSeconds) {
  Shown shown(ProgressBar::Kind::kLines);
  for (const char* what : {"reading", "products", "users", "events"}) {
    shown.bar.Show(what, 1, -1);
    shown.now += std::chrono::seconds(2);
  }
  EXPECT_EQ(shown.Text(), "");
}

TEST(ProgressBar, IsDrawnTenTimesASecondOnATerminalAndTakenAway) {
  Shown shown(ProgressBar::Kind::kBar);
  shown.bar.Show("events", 0.5, 1000);
  shown.bar.Show("events", 0.51, 1001);  // at once: not drawn
  shown.now += std::chrono::seconds(2);
  shown.bar.Show("events", 0.75, 1500);
  shown.bar.Clear();
  EXPECT_EQ(shown.Text(),
            "\r\033[Kevents    [============            ]  50 %        1,000 rows             "
            "\r\033[Kevents    [==================      ]  75 %        1,500 rows        750/s"
            "  0:00 left\r\033[K");
}

TEST(ImportText, IsMadeFitForPeople) {
  EXPECT_EQ(TitleCase(" ICE -  CRUSHED/CUBED "), "Ice - Crushed/Cubed");
  EXPECT_EQ(TitleCase("BREAD:ITALIAN'S 12OZ"), "Bread:Italian's 12oz");
  EXPECT_TRUE(NamesAProduct("3 WHITE Choc"));
  for (const char* remark : {"damaged", "?? missing", "lost in space", "A", ""})
    EXPECT_FALSE(NamesAProduct(remark)) << remark;
  EXPECT_EQ(WithCommas(1'469'307), "1,469,307");
  EXPECT_EQ(WithCommas(-12), "-12");
}

}  // namespace
}  // namespace starling::import

// What `weir run` makes of its ledger: drops are told of, and one that does not balance is an error.
#include <string>

#include "tool_run.hpp"
#include "tools/weir/report_json.hpp"
#include "tools/weir/report_text.hpp"
#include "tools/weir/session.hpp"

namespace weir::test {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

tool::Session session_of(const LinkReport& link) {
  Report report;
  report.completed = true;
  report.frames = 10;
  report.links = {link};
  tool::Session session{.pipeline = "a ! b", .options = {}, .description = {}};
  tool::RunRecord record{};
  record.report = report;
  session.runs.push_back(std::move(record));
  session.complete = true;
  return session;
}

TEST(ALedger, ThatDoesNotBalanceIsSaidAndTheStatusIsNotZero) {
  const tool::Session session =
      session_of({.source = "a:src:out", .sink = "b:snk:in", .kind = "process ring", .produced = 11, .delivered = 10});
  EXPECT_EQ(session.exit_code(), tool::kUnbalanced);
  EXPECT_NE(static_cast<int>(session.exit_code()), 0);
  EXPECT_THAT(tool::to_report(session), AllOf(HasSubstr("LEDGER DOES NOT BALANCE"), HasSubstr("0 !")));
  EXPECT_THAT(tool::to_errors(session), HasSubstr("the ledger of frames does not balance"));
  const json report = json::parse(tool::to_json(session));
  EXPECT_EQ(report["status"], "unbalanced");
  EXPECT_FALSE(report["runs"][0]["balances"]);
}

TEST(ALedger, BalancesWithWhatWasDroppedByPolicyAndLostWithACrash) {
  const tool::Session session = session_of({.source = "a:src:out",
                                            .sink = "b:snk:in",
                                            .kind = "process ring",
                                            .overflow = Overflow::latest,
                                            .produced = 15,
                                            .delivered = 5,
                                            .dropped_by_policy = 4,
                                            .dropped = 3,
                                            .left = 2,
                                            .lost = 1,
                                            .gaps = 6,
                                            .dropped_samples = 7});
  EXPECT_EQ(session.exit_code(), tool::kOk);
  EXPECT_THAT(tool::to_report(session), Not(HasSubstr("LEDGER")));
  const json report = json::parse(tool::to_json(session));
  const json link = report["runs"][0]["links"][0];
  EXPECT_EQ(link["overflow"], "latest");
  EXPECT_EQ(link["dropped_by_policy"], 4);
  EXPECT_EQ(link["lost"], 1);
  EXPECT_EQ(link["gaps"], 6);
  EXPECT_EQ(link["dropped_samples"], 7);
  EXPECT_TRUE(link["balances"]);
}

// The busy element takes longer for each frame than the source: what it does not get is a gap, which the sink fills.
TEST_F(Run, TellsWhatALinkHasDroppedAndKeepsTheLength) {
  for (const std::string overflow : {"drop_oldest", "drop_newest", "latest"}) {
    const std::string out = path(overflow + ".raw");
    const json report =
        report_of({"count_source count=2000 ! busy us=20 queue=2 overflow=" + overflow + " ! raw_sink path=" + out});
    EXPECT_EQ(content(out).size(), 2000u * 8);
    const json run = report["runs"][0];
    EXPECT_TRUE(run["balances"]);
    EXPECT_EQ(run["samples"], 2000);
    for (const json& link : run["links"])
      if (link["sink"] == "busy0:snk:in") {
        EXPECT_GT(link["dropped_by_policy"], 0);
        EXPECT_EQ(link["samples"].get<int>() + link["dropped_samples"].get<int>(), 2000);
      }
    EXPECT_THAT(run["warnings"], ElementsAre(AllOf(HasSubstr("busy0:snk:in"), HasSubstr("overflow=" + overflow))));
  }
}

TEST_F(Run, ShowsHowOftenALinkWasFullAndEmpty) {
  const Ended ended = weir_command({"run", "count_source count=20000 ! busy us=5 queue=1 ! null_sink queue=1"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, ContainsRegex("lost +was full +was empty\n"));
  EXPECT_THAT(ended.out, ContainsRegex("bound by "));
}

TEST_F(Run, EndsWhereALinkIsToFailAndDoes) {
  EXPECT_THAT(failure_of({"run", "count_source count=100000 ! busy us=50 queue=2 overflow=fail ! null_sink"}),
              AllOf(HasSubstr("count_source0:src:out"), HasSubstr("busy0:snk:in"), HasSubstr("is full")));
}

}  // namespace
}  // namespace weir::test

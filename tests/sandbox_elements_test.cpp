// Elements that read files in a sandbox, made by name: their parameters say which files those are.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "element_graphs.hpp"
#include "watch.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace weir;
using namespace weir::test;
using namespace weir::elements;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

/// Of a run of one source into nothing, the source in a sandbox.
Report run_sandboxed(const std::string& type, Dict arguments, std::vector<std::string>& reads) {
  Pipeline pipeline;
  auto& source = make_element(
      pipeline, type, {.name = "source", .worker_argdict = std::move(arguments), .sandbox = Sandbox::strict});
  reads = source.options().sandbox_reads;
  auto& sink = pipeline.emplace<NullSink>({.name = "sink", .sink_pads = {"in"}});
  pipeline.link(source.src("out"), sink.snk("in"));
  Parallelize parallelize(pipeline, {.mode = Mode::process});
  parallelize.run();
  return parallelize.report();
}

TEST(SandboxedElement, ReadsTheFileThatItsParameterNames) {
  const ScratchDir dir;
  std::vector<std::string> reads;
  write_text(dir / "x.raw", std::string(3000, 'x'));
  const Report raw = run_sandboxed("raw_source", {{"path", dir / "x.raw"}, {"sample", "i16"}}, reads);
  EXPECT_THAT(reads, ElementsAre(dir / "x.raw"));
  EXPECT_EQ(raw.samples, 1500u);
  EXPECT_THAT(raw.warnings, IsEmpty());
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                           SF_FORMAT_OGG | SF_FORMAT_VORBIS}) {
    write_sound(dir / "x.sound", {.samples = std::vector<float>(5000, 0.25f), .format = format});
    const Report sound = run_sandboxed("wav_source", {{"path", dir / "x.sound"}}, reads);
    EXPECT_EQ(sound.samples, 5000u) << format;
    EXPECT_THAT(sound.warnings, IsEmpty()) << format;
  }
}

TEST(SandboxedElement, IsRefusedWhereItWritesAFile) {
  Pipeline pipeline;
  const auto error = thrown<ParameterError>([&] {
    (void)make_element(pipeline, "raw_sink",
                       {.name = "sink", .worker_argdict = {{"path", "x.raw"}}, .sandbox = Sandbox::strict});
  });
  EXPECT_THAT(error->what(), AllOf(HasSubstr("'sink'"), HasSubstr("path=x.raw"), HasSubstr("sandbox=")));
}

}  // namespace

#include "elements/dsp/png_image.hpp"

#include <fcntl.h>
#include <png.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

namespace weir::dsp {
namespace {

constexpr int kMaxSide = 32'767;
constexpr int kNameAttempts = 1000;
constexpr int kCompression = 4;  // of 9; a spectrogram is 3 % larger than at 6, in half the time

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// What libpng's callbacks leave behind for the caller. Trivial, because libpng leaves by longjmp.
struct Outcome {
  std::FILE* file;
  int error;          // errno of a write that failed, else 0
  char message[160];  // libpng's words
};

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw std::system_error(error, std::generic_category(),
                          "can't write the picture '" + path.string() +
                              "' (check that its directory exists, is writable and has space left)");
}

extern "C" {
void write_bytes(png_structp png, png_bytep data, png_size_t count) {
  auto* outcome = static_cast<Outcome*>(png_get_io_ptr(png));
  if (std::fwrite(data, 1, count, outcome->file) == count) return;
  outcome->error = errno != 0 ? errno : EIO;
  png_error(png, "write error");
}
void flush_bytes(png_structp) {}

[[noreturn]] void keep_error(png_structp png, png_const_charp message) {
  auto* outcome = static_cast<Outcome*>(png_get_error_ptr(png));
  std::snprintf(outcome->message, sizeof outcome->message, "%s", message);
  png_longjmp(png, 1);
}
void ignore_warning(png_structp, png_const_charp) {}
}

// All of libpng that may longjmp: nothing here has a destructor, nothing is changed after setjmp and read
// later.
bool encode(png_structp png, png_infop info, int width, int height, const std::uint8_t* bytes) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  const auto columns = static_cast<png_uint_32>(width), rows = static_cast<png_uint_32>(height);
  png_set_IHDR(png, info, columns, rows, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(png, kCompression);
  png_write_info(png, info);
  for (png_uint_32 y = 0; y < rows; ++y) png_write_row(png, bytes + std::size_t{y} * columns * 3);
  png_write_end(png, info);
  return true;
}

// Encodes into the file and closes it; only then is it known whether all was written.
void write_and_close(const RgbImage& image, File file, const std::filesystem::path& path) {
  Outcome outcome{file.get(), 0, {}};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &outcome, keep_error, ignore_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  bool written = false;
  if (info != nullptr) {
    png_set_write_fn(png, &outcome, write_bytes, flush_bytes);
    errno = 0;
    written = encode(png, info, image.width(), image.height(), image.bytes().data());
  }
  png_destroy_write_struct(&png, &info);
  if (!written && outcome.error == 0) {
    throw std::runtime_error("can't write the picture '" + path.string() +
                             "': libpng: " + (outcome.message[0] != 0 ? outcome.message : "out of memory"));
  }
  // What is only found out when the bytes reach the disk is found out here; pipes and devices have none.
  const bool kept = std::fflush(file.get()) == 0 &&
                    (::fsync(::fileno(file.get())) == 0 || errno == EINVAL || errno == ENOSYS);
  if (!kept && outcome.error == 0) outcome.error = errno;
  if (std::fclose(file.release()) != 0 && outcome.error == 0) outcome.error = errno;
  if (outcome.error != 0) fail(path, outcome.error);
}

File open_for_writing(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  if (descriptor < 0) return nullptr;
  File file(::fdopen(descriptor, "wb"));
  if (!file) ::close(descriptor);
  return file;
}

// A new file in the directory of path, under a name that nobody uses; sets name to it.
File open_beside(const std::filesystem::path& path, std::filesystem::path& name) {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    name = path.parent_path() /
           (".weir-" + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".part");
    File file = open_for_writing(name, O_CREAT | O_EXCL);
    if (file || errno != EEXIST) return file;
  }
  return nullptr;
}

}  // namespace

RgbImage::RgbImage(int width, int height, Rgb background) : width_(width), height_(height) {
  if (std::min(width, height) < 1 || std::max(width, height) > kMaxSide) {
    throw std::invalid_argument("a picture must be 1 to " + std::to_string(kMaxSide) +
                                " pixels wide and high, not " + std::to_string(width) + " by " +
                                std::to_string(height));
  }
  bytes_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  fill(0, 0, width, height, background);
}

std::size_t RgbImage::offset(int x, int y) const noexcept {
  return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x)) * 3;
}

Rgb RgbImage::at(int x, int y) const noexcept {
  const std::uint8_t* pixel = bytes_.data() + offset(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

void RgbImage::fill(int x, int y, int width, int height, Rgb colour) noexcept {
  const int left = std::max(x, 0), right = std::min(x + width, width_);
  const int top = std::max(y, 0), bottom = std::min(y + height, height_);
  for (int row = top; row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      std::uint8_t* pixel = bytes_.data() + offset(column, row);
      pixel[0] = colour.red;
      pixel[1] = colour.green;
      pixel[2] = colour.blue;
    }
  }
}

void write_png(const RgbImage& image, const std::filesystem::path& path) {
  if (path == "-") {
    File file(::fdopen(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "wb"));
    if (!file) fail(path, errno);
    return write_and_close(image, std::move(file), path);
  }
  struct stat status {};
  std::filesystem::path target = path;
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists) {
    if (::access(path.c_str(), W_OK) != 0) fail(path, errno);
    if (!S_ISREG(status.st_mode)) {
      File file = open_for_writing(path, 0);
      if (!file) fail(path, errno);
      return write_and_close(image, std::move(file), path);
    }
    target = std::filesystem::canonical(path);
  }
  std::filesystem::path part;
  File file = open_beside(target, part);
  if (!file) fail(path, errno);
  if (exists) (void)::fchmod(::fileno(file.get()), status.st_mode & 0777);  // as the file that it replaces
  try {
    write_and_close(image, std::move(file), path);
    if (::rename(part.c_str(), target.c_str()) != 0) fail(path, errno);
  } catch (...) {
    ::unlink(part.c_str());
    throw;
  }
}

}  // namespace weir::dsp

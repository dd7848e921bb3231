#include "engine/base/content_hash.h"

#include <filesystem>
#include <initializer_list>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/base/env_posix.h"

namespace weir {
namespace {

TEST(HashFile, AgreesWithTheHashOfTheWholeContentAtAnyLength) {
  const auto env = MakePosixEnv(1);
  const std::string root =
      (std::filesystem::temp_directory_path() / ("weir-hash-" + std::to_string(getpid()))).string();
  ASSERT_TRUE(env->MakeDirectory(root).ok());
  std::string content;
  for (const size_t length :
       std::initializer_list<size_t>{0, 1, 240, 131'071, 131'072, 131'073, 1'000'000}) {
    while (content.size() < length) content.push_back(static_cast<char>(content.size() * 31 % 251));
    const std::string path = root + "/" + std::to_string(length);
    auto file = env->Create(path, CreateMode::kNew);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append(content).ok() && (*file)->Close().ok());
    const Result<HashedFile> hashed = HashFile(*env, path);
    ASSERT_TRUE(hashed.ok());
    EXPECT_EQ(hashed->bytes, length);
    EXPECT_EQ(hashed->hash.Hex(), HashContent(content).Hex());
    ContentHasher hasher;
    for (size_t at = 0; at < length; at += 777)
      hasher.Update(std::string_view(content).substr(at, 777));
    EXPECT_EQ(hasher.Digest(), HashContent(content));
  }
  EXPECT_EQ(HashFile(*env, root + "/none").status().code(), Code::kNotFound);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace weir

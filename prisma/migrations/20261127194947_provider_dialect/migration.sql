-- CreateEnum
CREATE TYPE "Dialect" AS ENUM ('OPENAI', 'ANTHROPIC', 'GEMINI');

-- AlterTable
ALTER TABLE "providers" ADD COLUMN     "dialect" "Dialect";

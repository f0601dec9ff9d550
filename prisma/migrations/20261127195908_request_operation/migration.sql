-- AlterTable
ALTER TABLE "completions" ADD COLUMN     "operation" TEXT NOT NULL DEFAULT 'CHAT';

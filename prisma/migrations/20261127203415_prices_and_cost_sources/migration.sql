-- CreateEnum
CREATE TYPE "CostSource" AS ENUM ('PRICED', 'REPORTED', 'FREE');

-- AlterTable
ALTER TABLE "attempts" ADD COLUMN     "cache_write_1h_tokens" INTEGER,
ADD COLUMN     "cost_source" "CostSource";

-- AlterTable
ALTER TABLE "models" ADD COLUMN     "override_price_version_id" TEXT;

-- CreateIndex
CREATE INDEX "models_override_price_version_id_idx" ON "models"("override_price_version_id");

-- AddForeignKey
ALTER TABLE "models" ADD CONSTRAINT "models_override_price_version_id_fkey" FOREIGN KEY ("override_price_version_id") REFERENCES "price_versions"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- What admins set before goes on deciding. The prices of the first start, which one transaction wrote, are the catalog's;
-- those of models that were made or changed later may be an admin's.
UPDATE "models" SET "override_price_version_id" = "price_version_id", "price_version_id" = NULL
WHERE "price_version_id" IS NOT NULL AND ("version" > 1 OR "created_at" > (SELECT min("created_at") FROM "models"));

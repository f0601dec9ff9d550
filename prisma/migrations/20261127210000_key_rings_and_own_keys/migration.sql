-- AlterTable
ALTER TABLE "attempts" ADD COLUMN     "used_own_key" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "provider_keys" ADD COLUMN     "name" TEXT NOT NULL DEFAULT 'default',
ADD COLUMN     "weight" INTEGER NOT NULL DEFAULT 1;

-- AlterTable
ALTER TABLE "providers" ADD COLUMN     "is_open_to_own_keys" BOOLEAN NOT NULL DEFAULT true;

-- A disabled provider with a key was switched off by an admin; one without may only be waiting for its first.
UPDATE "providers" SET "is_open_to_own_keys" = false
 WHERE NOT "is_enabled"
   AND ("kind" IN ('CUSTOM', 'SANDBOX') OR EXISTS (SELECT FROM "provider_keys" WHERE "provider_id" = "providers"."id"));

-- CreateTable
CREATE TABLE "user_provider_keys" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "provider_id" UUID NOT NULL,
    "ciphertext" BYTEA NOT NULL,
    "master_key_version" INTEGER NOT NULL,
    "hint" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "user_provider_keys_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "user_provider_keys_provider_id_idx" ON "user_provider_keys"("provider_id");

-- CreateIndex
CREATE UNIQUE INDEX "user_provider_keys_user_id_provider_id_key" ON "user_provider_keys"("user_id", "provider_id");

-- CreateIndex
CREATE UNIQUE INDEX "provider_keys_provider_id_name_key" ON "provider_keys"("provider_id", "name");

-- AddForeignKey
ALTER TABLE "user_provider_keys" ADD CONSTRAINT "user_provider_keys_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "user_provider_keys" ADD CONSTRAINT "user_provider_keys_provider_id_fkey" FOREIGN KEY ("provider_id") REFERENCES "providers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

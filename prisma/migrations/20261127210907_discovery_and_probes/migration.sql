-- AlterTable
ALTER TABLE "models" ADD COLUMN     "discovered_at" TIMESTAMPTZ(3),
ADD COLUMN     "missing_since" TIMESTAMPTZ(3);

-- CreateTable
CREATE TABLE "provider_probes" (
    "provider_id" UUID NOT NULL,
    "probed_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "provider_probes_pkey" PRIMARY KEY ("provider_id")
);

-- AddForeignKey
ALTER TABLE "provider_probes" ADD CONSTRAINT "provider_probes_provider_id_fkey" FOREIGN KEY ("provider_id") REFERENCES "providers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

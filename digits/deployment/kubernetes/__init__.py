"""`deployment=kserve`: manifests for a cluster, with KServe or plain, applied by kubectl."""

# Patients and mean pressure by sex, at each station.
place <- "/opt/pht_results/summary.csv"
patients <- read.csv(file.path(Sys.getenv("TRAIN_DATA_PATH"), "patients.csv"))
here <- aggregate(pressure ~ sex, patients, mean)
here$patients <- as.vector(table(patients$sex)[here$sex])
if (file.exists(place)) here <- rbind(read.csv(place), here)
write.csv(here, place, row.names = FALSE)
print(here)

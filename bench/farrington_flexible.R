# Reads series (one a line, comma separated), judges the last `judged` weeks of each with the settings of
# Noufaily et al. 2013, and writes: processor seconds, then alarms and upper bounds, one line a series.
arguments <- commandArgs(trailingOnly = TRUE)
suppressMessages(library(surveillance))
counts <- as.matrix(read.csv(arguments[1], header = FALSE))
judged <- as.integer(arguments[2])
weeks <- ncol(counts)
control <- list(range = (weeks - judged + 1):weeks, b = 5, w = 3, noPeriods = 10, weightsThreshold = 2.58,
                pastWeeksNotIncluded = 26, pThresholdTrend = 1, thresholdMethod = "nbPlugin", alpha = 0.01,
                limit54 = c(0, 4), glmWarnings = FALSE)
judge <- function(row) farringtonFlexible(sts(observed = counts[row, ], frequency = 52, start = c(2010, 1)), control)
invisible(judge(1))
before <- proc.time()
found <- lapply(seq_len(nrow(counts)), judge)
spent <- proc.time() - before
cat(sum(spent[c("user.self", "sys.self")]), "\n")
for (one in found) cat(as.integer(alarms(one)), as.numeric(upperbound(one)), "\n")

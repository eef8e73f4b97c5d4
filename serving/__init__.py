"""Questions to the warehouse: jobs, answers, raw lines, and the page about a job."""

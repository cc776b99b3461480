"""Networks as teachers and students: answers, features of foreign ones, weight files, parameters and MACs."""

"""The finished training set in the forms other trainers read: `triple` and `hugging_face`."""
